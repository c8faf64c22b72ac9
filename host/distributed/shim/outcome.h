// How a call of the shim ends: 0, or 1 and a message. No exception leaves a call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>

// Where the caller wants a message: `capacity` bytes, ended by 0.
struct Message {
  char* text;
  size_t capacity;
};

inline int32_t failed(const Message& message, const char* what) {
  if (message.text != nullptr && message.capacity > 0) {
    std::strncpy(message.text, what, message.capacity - 1);
    message.text[message.capacity - 1] = '\0';
  }
  return 1;
}

// Runs `body`; whatever it throws becomes the message.
template <typename Body>
int32_t guarded(Message message, Body&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    return failed(message, error.what());
  } catch (...) {
    return failed(message, "an exception that is no std::exception");
  }
}
