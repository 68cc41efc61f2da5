/* What is used of libuv. Its headers do not come with Node-API; these functions are exported by every node binary and
 * fixed within libuv 1. What could differ is asked at run time. */
#ifndef BLOCKBRAID_UV_H
#define BLOCKBRAID_UV_H

#include <stddef.h>
#include <stdint.h>

#define UV_IDLE 6
#define UV_POLL 8
#define UV_READABLE 1
#define UV_WRITABLE 2

struct uv_loop_s;

#define WEAK __attribute__((weak))
WEAK extern size_t uv_handle_size(int type);
WEAK extern const char *uv_handle_type_name(int type);
WEAK extern void uv_handle_set_data(void *handle, void *data);
WEAK extern void *uv_handle_get_data(const void *handle);
WEAK extern int uv_backend_fd(const struct uv_loop_s *loop);
WEAK extern uint64_t uv_hrtime(void);
WEAK extern int uv_idle_init(struct uv_loop_s *loop, void *handle);
WEAK extern int uv_idle_start(void *handle, void (*callback)(void *handle));
WEAK extern int uv_idle_stop(void *handle);
WEAK extern int uv_poll_init(struct uv_loop_s *loop, void *handle, int fd);
WEAK extern int uv_poll_start(void *handle, int events, void (*callback)(void *handle, int status, int events));
WEAK extern int uv_poll_stop(void *handle);
WEAK extern void uv_close(void *handle, void (*callback)(void *handle));
WEAK extern void uv_ref(void *handle);
WEAK extern void uv_unref(void *handle);

#endif
