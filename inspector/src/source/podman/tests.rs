//! Tests of what needs no Podman.
