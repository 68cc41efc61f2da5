/* What the parts of the addon share. Functions given to JavaScript return a value or a negative errno;
 * they throw only TypeErrors, for arguments that are wrong. */
#ifndef BLOCKBRAID_ADDON_H
#define BLOCKBRAID_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* handles.c: what this environment (main thread or worker) holds, by number. */

enum kind { KIND_FREE, KIND_MAPPING, KIND_WATCHER, KIND_STREAM, KIND_FD };

struct slot {
  enum kind kind;
  uint32_t generation;
  union {
    void *object;
    int fd;
    uint32_t next_free;
  };
};

struct instance {
  napi_env env;
  napi_async_cleanup_hook_handle cleanup;
  struct slot *slots;
  uint32_t capacity;
  uint32_t first_free;
  /* The instance goes with the last of these. */
  uint32_t users;
  /* uv handles not closed yet: the environment waits for them. */
  uint32_t closing;
  bool ended;
  /* NULL before its first use. */
  struct awake *awake;
};

/* A new handle, or -1 without memory. */
int64_t handle_add(struct instance *self, enum kind kind, void *object, int fd);
/* The slot of a live handle of that kind, or NULL. */
struct slot *handle_find(struct instance *self, int64_t handle, enum kind kind);
void handle_remove(struct instance *self, struct slot *slot);
void instance_release(struct instance *self);
/* A uv handle has closed: with the last one the environment that waits for them can end. */
void instance_closed(struct instance *self);

/* arguments.c: readers that throw a TypeError with the argument's name and return false. */

struct instance *begin(napi_env env, napi_callback_info info, size_t count, napi_value *arguments);
/* Longer than any numeric address with a zone, and than sun_path. */
#define MAX_NAME 256

/* A string of at most MAX_NAME - 1 bytes without NUL. */
bool read_name(napi_env env, napi_value value, const char *what, char name[MAX_NAME]);
bool read_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max, int64_t *out);
bool read_fd(napi_env env, napi_value value, int *out);
bool read_handle(napi_env env, napi_value value, int64_t *out);
bool read_bytes(napi_env env, napi_value value, const char *name, uint8_t **bytes, size_t *length);
bool read_boolean(napi_env env, napi_value value, const char *name, bool *out);
napi_value wrong(napi_env env, const char *what);
napi_value number(napi_env env, int64_t value);
void set_number(napi_env env, napi_value object, const char *name, int64_t value);

/* work.c: a call on the thread pool, as a promise. */

struct work {
  /* On the thread pool: no napi. */
  void (*run)(struct work *work);
  /* On the JavaScript thread: the promise's value. */
  napi_value (*result)(napi_env env, struct work *work);
  /* Always the last call; frees `work`. */
  void (*drop)(napi_env env, struct work *work);
  napi_async_work handle;
  napi_deferred deferred;
};

/* Drops `work` when it cannot be started. */
napi_value work_start(napi_env env, struct work *work, const char *name);

/* memory.c */

/* { buffer, address, handle }, or NULL with the range unmapped and *error set. */
napi_value mapping_create(napi_env env, struct instance *self, void *address, size_t length, int *error);
napi_value map_memory(napi_env env, napi_callback_info info);
napi_value map_file(napi_env env, napi_callback_info info);
napi_value unmap(napi_env env, napi_callback_info info);

/* poll.c */

bool poll_available(void);
void watcher_end(struct instance *self, struct slot *slot);
napi_value watch(napi_env env, napi_callback_info info);
napi_value watch_close(napi_env env, napi_callback_info info);
napi_value watch_ref(napi_env env, napi_callback_info info);

/* awake.c */

bool awake_available(void);
void awake_end(struct instance *self);
napi_value stay_awake(napi_env env, napi_callback_info info);

/* fds.c */

napi_value socket_pair(napi_env env, napi_callback_info info);
napi_value close_fd(napi_env env, napi_callback_info info);
napi_value close_handle(napi_env env, napi_callback_info info);
napi_value peer_pid(napi_env env, napi_callback_info info);
napi_value control(napi_env env, napi_callback_info info);

/* connect.c */

/* The address of a numeric host, and its length; 0 where it is none. */
socklen_t numeric_address(const char *host, uint16_t port, struct sockaddr_storage *address);
napi_value connect_tcp(napi_env env, napi_callback_info info);
napi_value socket_error(napi_env env, napi_callback_info info);

/* listen.c */

napi_value listen_tcp(napi_env env, napi_callback_info info);
napi_value listen_unix(napi_env env, napi_callback_info info);
napi_value accept_socket(napi_env env, napi_callback_info info);
napi_value local_port(napi_env env, napi_callback_info info);

/* stream.c */

void stream_end(struct instance *self, struct slot *slot);
napi_value stream_open(napi_env env, napi_callback_info info);
napi_value stream_poll(napi_env env, napi_callback_info info);
napi_value stream_receive(napi_env env, napi_callback_info info);
napi_value stream_send(napi_env env, napi_callback_info info);
napi_value stream_send_views(napi_env env, napi_callback_info info);
napi_value stream_shutdown(napi_env env, napi_callback_info info);
napi_value stream_close(napi_env env, napi_callback_info info);
napi_value stream_release(napi_env env, napi_callback_info info);

/* netlink.c */

napi_value netlink_open(napi_env env, napi_callback_info info);
napi_value netlink_request(napi_env env, napi_callback_info info);

/* uring.c */

napi_value uring_open(napi_env env, napi_callback_info info);
napi_value uring_enter(napi_env env, napi_callback_info info);

/* process.c */

napi_value set_io_flusher(napi_env env, napi_callback_info info);
napi_value lock_memory(napi_env env, napi_callback_info info);

#endif
