// The store in which processes find each other: a key-value server that one of them, or their launcher, runs.
#include "handles.h"
#include "outcome.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

using std::chrono::milliseconds;

extern "C" {

// Opens the store at host:port, as its server if `serve`; port 0 takes a free one. `port_taken` is the port at last.
int32_t prorl_store_open(
    const char* host, uint16_t port, bool serve, int64_t timeout_ms, const char* prefix,
    StoreHandle** opened, uint16_t* port_taken, Message message) {
  return guarded(message, [&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    options.waitWorkers = false;
    options.timeout = milliseconds(timeout_ms);
    auto server = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
    *port_taken = server->getPort();
    c10::intrusive_ptr<c10d::Store> store = server;
    if (prefix[0] != '\0') {
      store = c10::make_intrusive<c10d::PrefixStore>(std::string(prefix), store);
    }
    *opened = new StoreHandle{store};
  });
}

int32_t prorl_store_set(StoreHandle* handle, const char* key, const uint8_t* data, size_t size, Message message) {
  return guarded(message, [&] { handle->store->set(key, std::vector<uint8_t>(data, data + size)); });
}

// Whether `key` is set already.
int32_t prorl_store_check(StoreHandle* handle, const char* key, bool* there, Message message) {
  return guarded(message, [&] { *there = handle->store->check({std::string(key)}); });
}

// Waits for `key`, then gives a copy of its value, to be freed with prorl_bytes_free.
int32_t prorl_store_get(
    StoreHandle* handle, const char* key, int64_t timeout_ms, uint8_t** data, size_t* size, Message message) {
  return guarded(message, [&] {
    handle->store->wait({std::string(key)}, milliseconds(timeout_ms));
    const std::vector<uint8_t> value = handle->store->get(key);
    *data = new uint8_t[value.size() + 1];
    *size = value.size();
    std::copy(value.begin(), value.end(), *data);
  });
}

void prorl_bytes_free(uint8_t* data) {
  delete[] data;
}

int32_t prorl_store_free(StoreHandle* handle, Message message) {
  return guarded(message, [&] { delete handle; });
}
}
