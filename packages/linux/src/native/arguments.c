/* Arguments from JavaScript, checked. */
#include "addon.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

napi_value wrong(napi_env env, const char *what) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", what);
  return NULL;
}

static bool refuse(napi_env env, const char *name, const char *right) {
  char message[160];
  snprintf(message, sizeof message, "%s must be %s", name, right);
  wrong(env, message);
  return false;
}

struct instance *begin(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  struct instance *self = NULL;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok) return NULL;
  if (napi_get_instance_data(env, (void **)&self) != napi_ok || self == NULL || self->ended) {
    napi_throw_error(env, "ERR_ENVIRONMENT_ENDED", "this environment ends");
    return NULL;
  }
  return self;
}

bool read_name(napi_env env, napi_value value, const char *what, char name[MAX_NAME]) {
  size_t length;
  size_t whole;
  if (napi_get_value_string_utf8(env, value, name, MAX_NAME, &length) != napi_ok ||
      napi_get_value_string_utf8(env, value, NULL, 0, &whole) != napi_ok || whole != length ||
      strlen(name) != length) {
    wrong(env, what);
    return false;
  }
  return true;
}

bool read_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max, int64_t *out) {
  double v;
  /* The comparison is false for NaN; 2 ** 53 keeps the cast defined. */
  if (napi_get_value_double(env, value, &v) == napi_ok && v >= -9007199254740992.0 && v <= 9007199254740992.0 &&
      (double)(int64_t)v == v && (int64_t)v >= min && (int64_t)v <= max) {
    *out = (int64_t)v;
    return true;
  }
  char right[80];
  snprintf(right, sizeof right, "an integer from %lld to %lld", (long long)min, (long long)max);
  return refuse(env, name, right);
}

bool read_fd(napi_env env, napi_value value, int *out) {
  int64_t fd;
  if (!read_integer(env, value, "fd", 0, INT_MAX, &fd)) return false;
  *out = (int)fd;
  return true;
}

bool read_handle(napi_env env, napi_value value, int64_t *out) {
  return read_integer(env, value, "handle", 0, (int64_t)1 << 53, out);
}

bool read_bytes(napi_env env, napi_value value, const char *name, uint8_t **bytes, size_t *length) {
  bool is_typed_array = false;
  napi_typedarray_type type;
  if (napi_is_typedarray(env, value, &is_typed_array) == napi_ok && is_typed_array &&
      napi_get_typedarray_info(env, value, &type, length, (void **)bytes, NULL, NULL) == napi_ok &&
      type == napi_uint8_array) {
    return true;
  }
  return refuse(env, name, "a Uint8Array");
}

bool read_boolean(napi_env env, napi_value value, const char *name, bool *out) {
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  return refuse(env, name, "a boolean");
}

napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

void set_number(napi_env env, napi_value object, const char *name, int64_t value) {
  napi_set_named_property(env, object, name, number(env, value));
}
