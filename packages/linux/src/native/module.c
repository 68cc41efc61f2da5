/* The addon's start in an environment (main thread or worker), and its end. */
#include "addon.h"
#include <stdlib.h>
#include <unistd.h>

#define EXPORT(name, function) { name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL }

static const napi_property_descriptor exported[] = {
  EXPORT("mapMemory", map_memory),
  EXPORT("mapFile", map_file),
  EXPORT("unmap", unmap),
  EXPORT("watch", watch),
  EXPORT("watchClose", watch_close),
  EXPORT("watchRef", watch_ref),
  EXPORT("stayAwake", stay_awake),
  EXPORT("socketPair", socket_pair),
  EXPORT("closeFd", close_fd),
  EXPORT("closeHandle", close_handle),
  EXPORT("peerPid", peer_pid),
  EXPORT("ioctl", control),
  EXPORT("connectTcp", connect_tcp),
  EXPORT("socketError", socket_error),
  EXPORT("listenTcp", listen_tcp),
  EXPORT("listenUnix", listen_unix),
  EXPORT("acceptSocket", accept_socket),
  EXPORT("localPort", local_port),
  EXPORT("streamOpen", stream_open),
  EXPORT("streamPoll", stream_poll),
  EXPORT("streamReceive", stream_receive),
  EXPORT("streamSend", stream_send),
  EXPORT("streamSendViews", stream_send_views),
  EXPORT("streamShutdown", stream_shutdown),
  EXPORT("streamClose", stream_close),
  EXPORT("streamRelease", stream_release),
  EXPORT("netlinkOpen", netlink_open),
  EXPORT("netlinkRequest", netlink_request),
  EXPORT("uringOpen", uring_open),
  EXPORT("uringEnter", uring_enter),
  EXPORT("setIoFlusher", set_io_flusher),
  EXPORT("lockMemory", lock_memory),
};

/* Watchers and streams first: they poll the descriptors. Mappings are ended by V8, which lets go of every ArrayBuffer. */
static void end(napi_async_cleanup_hook_handle cleanup, void *data) {
  struct instance *self = data;
  (void)cleanup;
  self->ended = true;
  awake_end(self);
  for (uint32_t i = 0; i < self->capacity; i++) {
    if (self->slots[i].kind == KIND_WATCHER) watcher_end(self, &self->slots[i]);
    else if (self->slots[i].kind == KIND_STREAM) stream_end(self, &self->slots[i]);
  }
  for (uint32_t i = 0; i < self->capacity; i++) {
    if (self->slots[i].kind != KIND_FD) continue;
    close(self->slots[i].fd);
    handle_remove(self, &self->slots[i]);
  }
  if (self->closing > 0) return;
  napi_remove_async_cleanup_hook(self->cleanup);
  instance_release(self);
}

NAPI_MODULE_INIT() {
  if (!poll_available() || !awake_available()) {
    napi_throw_error(env, "ERR_NO_LIBUV", "this runtime does not offer the handles of libuv 1");
    return NULL;
  }
  struct instance *self = calloc(1, sizeof *self);
  if (self == NULL) {
    napi_throw_error(env, "ENOMEM", "no memory for the addon");
    return NULL;
  }
  self->env = env;
  self->users = 1;
  if (napi_set_instance_data(env, self, NULL, NULL) != napi_ok ||
      napi_add_async_cleanup_hook(env, end, self, &self->cleanup) != napi_ok) {
    free(self);
    return NULL;
  }
  napi_define_properties(env, exports, sizeof exported / sizeof *exported, exported);
  return exports;
}
