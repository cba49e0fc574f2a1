//! The command line program.

fn main() -> std::process::ExitCode {
    inspector::cli::main()
}
