/* File descriptors in the event loop of Node. */
#define _GNU_SOURCE
#include "addon.h"
#include "callback.h"
#include "uv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct watcher {
  struct instance *instance;
  struct callback callback;
  int fd;
  /* A uv_poll_t, of the size that libuv says. */
  void *poll;
};

bool poll_available(void) {
  if (!uv_handle_size || !uv_handle_type_name || !uv_handle_set_data || !uv_handle_get_data || !uv_poll_init ||
      !uv_poll_start || !uv_poll_stop || !uv_close || !uv_ref || !uv_unref) {
    return false;
  }
  const char *name = uv_handle_type_name(UV_POLL);
  return name != NULL && strcmp(name, "poll") == 0;
}

static void on_event(void *poll, int status, int events) {
  (void)status;
  (void)events;
  struct watcher *watcher = uv_handle_get_data(poll);
  napi_env env = watcher->callback.env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  callback_call(&watcher->callback, 0, NULL);
  napi_close_handle_scope(env, scope);
}

static void on_closed(void *poll) {
  struct watcher *watcher = uv_handle_get_data(poll);
  struct instance *self = watcher->instance;
  free(poll);
  free(watcher);
  instance_closed(self);
}

void watcher_end(struct instance *self, struct slot *slot) {
  struct watcher *watcher = slot->object;
  handle_remove(self, slot);
  uv_poll_stop(watcher->poll);
  close(watcher->fd);
  callback_close(&watcher->callback);
  self->closing++;
  uv_close(watcher->poll, on_closed);
}

/* watch(fd, callback). The watcher has a duplicate of the descriptor: libuv aborts the process when one that it
 * polls is closed behind its back. */
napi_value watch(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd;
  napi_valuetype type;
  struct uv_loop_s *loop;
  struct instance *self = begin(env, info, 2, arguments);
  if (self == NULL || !read_fd(env, arguments[0], &fd)) return NULL;
  if (napi_typeof(env, arguments[1], &type) != napi_ok || type != napi_function) {
    return wrong(env, "callback must be a function");
  }
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return number(env, -ENOSYS);

  struct watcher *watcher = calloc(1, sizeof *watcher);
  void *poll = calloc(1, uv_handle_size(UV_POLL));
  int64_t handle = -1;
  int error = ENOMEM;
  if (watcher == NULL || poll == NULL) goto no_memory;
  *watcher = (struct watcher){ .instance = self, .poll = poll };
  watcher->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (watcher->fd < 0) {
    error = errno;
    goto no_memory;
  }
  handle = handle_add(self, KIND_WATCHER, watcher, -1);
  if (handle < 0 || callback_open(env, arguments[1], "blockbraid.watcher", &watcher->callback) != napi_ok) {
    goto no_handle;
  }
  error = -uv_poll_init(loop, poll, watcher->fd);
  if (error != 0) goto no_poll;
  uv_handle_set_data(poll, watcher);
  error = -uv_poll_start(poll, UV_READABLE, on_event);
  if (error != 0) {
    watcher_end(self, handle_find(self, handle, KIND_WATCHER));
    return number(env, -error);
  }
  return number(env, handle);

no_poll:
  callback_close(&watcher->callback);
no_handle:
  if (handle >= 0) handle_remove(self, handle_find(self, handle, KIND_WATCHER));
  close(watcher->fd);
no_memory:
  free(poll);
  free(watcher);
  return number(env, -error);
}

/* watchClose(handle). A handle that is closed already is no error. */
napi_value watch_close(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int64_t handle;
  struct instance *self = begin(env, info, 1, arguments);
  if (self == NULL || !read_handle(env, arguments[0], &handle)) return NULL;
  struct slot *slot = handle_find(self, handle, KIND_WATCHER);
  if (slot != NULL) watcher_end(self, slot);
  return NULL;
}

/* watchRef(handle, on): whether the watcher keeps the event loop alive. */
napi_value watch_ref(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int64_t handle;
  bool on;
  struct instance *self = begin(env, info, 2, arguments);
  if (self == NULL || !read_handle(env, arguments[0], &handle) || !read_boolean(env, arguments[1], "on", &on)) {
    return NULL;
  }
  struct slot *slot = handle_find(self, handle, KIND_WATCHER);
  if (slot == NULL) return NULL;
  struct watcher *watcher = slot->object;
  if (on) uv_ref(watcher->poll);
  else uv_unref(watcher->poll);
  return NULL;
}
