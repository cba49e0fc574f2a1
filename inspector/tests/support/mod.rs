//! What the black-box tests share: running the program with limits, reading the truth from /proc without the
//! program's own code, and a Docker daemon of their own.

pub mod answer;
pub mod blast;
pub mod cgroups;
pub mod check;
pub mod clean;
pub mod cri;
pub mod cri_messages;
pub mod executable;
pub mod fake;
pub mod helper;
pub mod images;
pub mod keeper;
pub mod random;
pub mod run;
pub mod truth;
pub mod world;
