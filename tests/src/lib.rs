//! End-to-end tests over the real binary and real shared libraries; see `tests/`.
