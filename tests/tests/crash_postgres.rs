//! Laws L5 and L1 with the real program on a server. What a crash of the server itself does is in `postgres_crash`.

#[path = "crash.rs"]
mod crash;
