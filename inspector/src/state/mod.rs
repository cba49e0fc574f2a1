//! TODO

pub mod cgroup;
