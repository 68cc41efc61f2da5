/* Numbers for native objects: a number of a closed object, or one made up, finds nothing. */
#include "addon.h"
#include <stdlib.h>

#define INDEX_BITS 20
#define NO_SLOT UINT32_MAX

static bool grow(struct instance *self) {
  uint32_t capacity = self->capacity == 0 ? 64 : self->capacity * 2;
  if (capacity > 1u << INDEX_BITS) return false;
  struct slot *slots = realloc(self->slots, capacity * sizeof(struct slot));
  if (slots == NULL) return false;
  for (uint32_t i = self->capacity; i < capacity; i++) {
    slots[i].kind = KIND_FREE;
    slots[i].generation = 1;
    slots[i].next_free = i + 1 < capacity ? i + 1 : NO_SLOT;
  }
  self->first_free = self->capacity;
  self->slots = slots;
  self->capacity = capacity;
  return true;
}

int64_t handle_add(struct instance *self, enum kind kind, void *object, int fd) {
  if (self->ended) return -1;
  if ((self->capacity == 0 || self->first_free == NO_SLOT) && !grow(self)) return -1;
  uint32_t index = self->first_free;
  struct slot *slot = &self->slots[index];
  self->first_free = slot->next_free;
  slot->kind = kind;
  if (kind == KIND_FD) slot->fd = fd;
  else slot->object = object;
  return ((int64_t)slot->generation << INDEX_BITS) | index;
}

struct slot *handle_find(struct instance *self, int64_t handle, enum kind kind) {
  if (handle < 0) return NULL;
  uint64_t index = (uint64_t)handle & ((1u << INDEX_BITS) - 1);
  if (index >= self->capacity) return NULL;
  struct slot *slot = &self->slots[index];
  if (slot->kind != kind || (int64_t)slot->generation != handle >> INDEX_BITS) return NULL;
  return slot;
}

void handle_remove(struct instance *self, struct slot *slot) {
  slot->kind = KIND_FREE;
  slot->generation++;
  slot->next_free = self->first_free;
  self->first_free = (uint32_t)(slot - self->slots);
}

void instance_release(struct instance *self) {
  if (--self->users > 0) return;
  free(self->slots);
  free(self);
}

void instance_closed(struct instance *self) {
  self->closing--;
  if (self->closing > 0 || !self->ended) return;
  napi_remove_async_cleanup_hook(self->cleanup);
  instance_release(self);
}
