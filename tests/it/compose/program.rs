//! `examples/compose` as a program: the commands that it prints, pasted into a shell.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::process::{Process, mails, program};

/// What stands between the answers of two commands.
const MARK: &str = "-- next --";

/// The example on ports and in a folder of its own.
fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(program("compose"));
    command
        .current_dir(folder.path())
        .env("LISTEN", "127.0.0.1:0")
        .env("LISTEN_PLAIN", "127.0.0.1:0")
        .env("MAILBOX", "mailbox")
        .env_remove("RUST_LOG");
    command
}

/// The printed lines that are to be pasted, with a mark after each request.
fn script(printed: &str) -> String {
    let pasted = printed.lines().filter(|line| {
        !(line.is_empty() || line.ends_with(':') || line.starts_with("listening on "))
    });
    let marked = pasted.map(|line| {
        let mark = if line.starts_with("curl ") {
            format!("echo '{MARK}'\n")
        } else {
            String::new()
        };
        format!("{line}\n{mark}")
    });
    format!("set -eu\n{}", marked.collect::<String>())
}

fn status(answer: &str) -> &str {
    let line = answer.trim_start().lines().next().unwrap_or_default();
    line.strip_prefix("HTTP/1.1 ").unwrap_or(line)
}

#[tokio::test]
async fn the_printed_commands_work_when_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("NOT RUN: there is no curl on this machine to paste the printed commands for");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let log = File::create(folder.path().join("log")).unwrap();
    let mut command = command(&folder);
    let site = Process::start(
        command.stderr(Stdio::from(log)),
        r#"{"username":"kim@example.co""#,
    );
    let script = script(&site.printed);
    let pasted = tokio::task::spawn_blocking({
        let mut shell = Command::new("sh");
        // Another terminal is seldom in the same folder.
        shell
            .current_dir(elsewhere.path())
            .env("TMPDIR", elsewhere.path());
        move || shell.arg("-c").arg(script).output().unwrap()
    });
    let output = pasted.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = output.split_terminator(&format!("{MARK}\n")).collect();

    let (success, hello) = (
        r#"{"message":"success"}"#,
        "hello, 312CE25E-A112-4D45-9965-6175E7C568DD",
    );
    let expected = [
        ("200 OK", success),
        (
            "200 OK",
            r#"{"app":"312CE25E-A112-4D45-9965-6175E7C568DD","signed":false}"#,
        ),
        ("200 OK", hello),
        ("200 OK", hello),
        ("400 Bad Request", "NonceReplayed"),
        (
            "200 OK",
            "access-control-allow-origin: https://app.example.com",
        ),
        ("303 See Other", "location: /admin"),
        ("200 OK", success),
    ];
    assert_eq!(answers.len(), expected.len(), "{output}");
    for (answer, (line, part)) in answers.iter().zip(expected) {
        assert_eq!(status(answer), line, "{answer}");
        assert!(answer.contains(part), "{part} is not in {answer}");
        assert!(answer.ends_with('\n'), "the prompt has a line of its own");
    }
    for (mail, to) in mails(folder.path(), 2).await.iter().zip(["jane", "kim"]) {
        assert!(mail.contains(&format!("To: {to}@example.co")), "{mail}");
    }
    // Without a word about it in the environment, the log has each answer with its id, and the reason
    // of the refusal.
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    for answer in answers
        .iter()
        .filter(|answer| answer.contains("x-request-id: "))
    {
        let (_, rest) = answer.split_once("x-request-id: ").unwrap();
        let id = rest.lines().next().unwrap().trim();
        assert!(log.contains(id), "{id} is not in {log}");
    }
    assert!(log.contains("NonceReplayed"), "{log}");
    let (_, password) = site.printed.split_once("-d password=").unwrap();
    let password = password.lines().next().unwrap();
    assert!(!log.contains(password), "{log}");
}

#[test]
fn an_address_that_is_taken_is_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for variable in ["LISTEN", "LISTEN_PLAIN"] {
        let output = command(&folder).env(variable, &taken).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&format!("{variable}={taken}: ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
