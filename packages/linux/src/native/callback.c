#include "callback.h"

napi_status callback_open(napi_env env, napi_value function, const char *name, struct callback *callback) {
  napi_value text;
  callback->env = env;
  napi_status status = napi_create_reference(env, function, 1, &callback->function);
  if (status != napi_ok) return status;
  status = napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &text);
  if (status == napi_ok) status = napi_async_init(env, NULL, text, &callback->context);
  if (status != napi_ok) napi_delete_reference(env, callback->function);
  return status;
}

void callback_close(struct callback *callback) {
  napi_delete_reference(callback->env, callback->function);
  napi_async_destroy(callback->env, callback->context);
}

void callback_call(const struct callback *callback, size_t count, const napi_value *arguments) {
  napi_env env = callback->env;
  napi_value function;
  napi_value receiver;
  napi_value error;
  if (napi_get_reference_value(env, callback->function, &function) == napi_ok && function != NULL &&
      napi_get_global(env, &receiver) == napi_ok &&
      napi_make_callback(env, callback->context, receiver, function, count, arguments, NULL) != napi_ok) {
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
}
