/* A blocking call on the thread pool, as a promise. */
#include "addon.h"

static void execute(napi_env env, void *data) {
  (void)env;
  struct work *work = data;
  work->run(work);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  /* Fails where the environment ends meanwhile: then nobody waits for the promise. */
  if (status == napi_ok) {
    napi_value value = work->result(env, work);
    if (value != NULL) napi_resolve_deferred(env, work->deferred, value);
  }
  napi_delete_async_work(env, work->handle);
  work->drop(env, work);
}

napi_value work_start(napi_env env, struct work *work, const char *name) {
  napi_value label;
  napi_value promise;
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &label) == napi_ok &&
      napi_create_async_work(env, NULL, label, execute, complete, work, &work->handle) == napi_ok) {
    if (napi_create_promise(env, &work->deferred, &promise) == napi_ok &&
        napi_queue_async_work(env, work->handle) == napi_ok) {
      return promise;
    }
    napi_delete_async_work(env, work->handle);
  }
  work->drop(env, work);
  return NULL;
}
