/* A function of JavaScript that the event loop calls, with the context of whoever gave it. */
#ifndef CALLBACK_H
#define CALLBACK_H

#include "addon.h"

struct callback {
  napi_env env;
  napi_ref function;
  napi_async_context context;
};

/* `name` is what traces of asynchronous calls show. */
napi_status callback_open(napi_env env, napi_value function, const char *name, struct callback *callback);

void callback_close(struct callback *callback);

/* Inside of a handle scope of the caller's. The function may close it: nothing of it is touched afterwards. */
void callback_call(const struct callback *callback, size_t count, const napi_value *arguments);

#endif
