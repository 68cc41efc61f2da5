/* Keeps the event loop from going to sleep for a moment. While an idle handle is active, the loop looks at its
 * descriptors without waiting; the looks between are here, as each turn of the loop costs Node an object. */
#include "addon.h"
#include "uv.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* µs. Who needs longer is better off asleep. */
#define LONGEST 10000

struct awake {
  struct instance *instance;
  /* By uv_hrtime, ns. */
  uint64_t until;
  /* What tells that a descriptor of the loop is ready. */
  int backend;
  /* The loop has not looked since it was asked to stay awake: it takes up then what it is to look at. */
  bool fresh;
  /* A uv_idle_t, of the size that libuv says. */
  void *idle;
};

bool awake_available(void) {
  if (!uv_backend_fd || !uv_hrtime || !uv_idle_init || !uv_idle_start || !uv_idle_stop) return false;
  const char *name = uv_handle_type_name(UV_IDLE);
  return name != NULL && strcmp(name, "idle") == 0;
}

static void on_look(void *idle) {
  struct awake *awake = uv_handle_get_data(idle);
  struct pollfd backend = { .fd = awake->backend, .events = POLLIN };
  if (awake->fresh) {
    awake->fresh = false;
    return;
  }
  while (uv_hrtime() < awake->until) {
    if (poll(&backend, 1, 0) != 0) return;
  }
  uv_idle_stop(idle);
}

static void on_closed(void *idle) {
  struct awake *awake = uv_handle_get_data(idle);
  struct instance *self = awake->instance;
  free(idle);
  free(awake);
  instance_closed(self);
}

void awake_end(struct instance *self) {
  struct awake *awake = self->awake;
  if (awake == NULL) return;
  self->awake = NULL;
  self->closing++;
  uv_close(awake->idle, on_closed);
}

static struct awake *prepare(napi_env env, struct instance *self) {
  struct uv_loop_s *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return NULL;
  struct awake *awake = calloc(1, sizeof *awake);
  void *idle = calloc(1, uv_handle_size(UV_IDLE));
  if (awake == NULL || idle == NULL || uv_idle_init(loop, idle) != 0) {
    free(idle);
    free(awake);
    return NULL;
  }
  *awake = (struct awake){ .instance = self, .backend = uv_backend_fd(loop), .idle = idle };
  uv_handle_set_data(idle, awake);
  /* It keeps the loop awake, not alive. */
  uv_unref(idle);
  self->awake = awake;
  return awake;
}

/* stayAwake(microseconds), from now on; 0 ends it. */
napi_value stay_awake(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int64_t microseconds;
  struct instance *self = begin(env, info, 1, arguments);
  if (self == NULL || !read_integer(env, arguments[0], "microseconds", 0, LONGEST, &microseconds)) return NULL;
  struct awake *awake = self->awake;
  if (microseconds == 0) {
    if (awake != NULL) uv_idle_stop(awake->idle);
    return NULL;
  }
  if (awake == NULL) awake = prepare(env, self);
  /* No memory: then it sleeps. */
  if (awake == NULL) return NULL;
  awake->until = uv_hrtime() + (uint64_t)microseconds * 1000;
  awake->fresh = true;
  uv_idle_start(awake->idle, on_look);
  return NULL;
}
