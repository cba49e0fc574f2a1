//! The command line program.

fn main() -> std::process::ExitCode {
    // The processes of `inspector demo` are this program too; they have to be told before there is any thread.
    inspector::demo::process_main().unwrap_or_else(inspector::cli::main)
}
