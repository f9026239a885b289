//! The commands do what is said of them.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use super::README;
use crate::process::{PATIENCE, Process, code, command, folder};

const ADDRESS: &str = "http://127.0.0.1:3000";

/// The commands that begin like this, as they are to be pasted.
fn commands(beginning: &str) -> Vec<&'static str> {
    let blocks = README.split("```sh\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .filter(|block| block.starts_with(beginning))
        .collect()
}

/// What a command prints that is meant for the server at its own address.
async fn pasted(command: &str, server: &Process) -> String {
    assert!(command.contains(ADDRESS), "{command}");
    let command = command.replace(ADDRESS, &format!("http://{}", server.address()));
    let output = tokio::task::spawn_blocking(move || {
        Command::new("sh").arg("-c").arg(command).output().unwrap()
    });
    String::from_utf8(output.await.unwrap().stdout).unwrap()
}

#[test]
fn the_first_command_is_the_one_that_the_server_prints() {
    let folder = folder(&json!({}));
    let server = Process::serving(&mut command(folder.path()));
    let printed = &server.printed[server.printed.find("curl ").unwrap()..];
    let printed = printed.replace(&format!("http://{}", server.address()), ADDRESS);
    assert_eq!(commands("curl ")[0], printed);
}

#[tokio::test]
async fn the_commands_answer_as_is_said_when_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("NOT RUN: there is no curl on this machine to paste the README's commands for");
        return;
    }
    let folder = folder(&json!({}));
    let server = Process::serving(&mut command(folder.path()));
    let [resend, redeem] = commands("curl ")[..] else {
        panic!("there are other commands than two");
    };
    let answer = pasted(resend, &server).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#"{"message":"success"}"#), "{answer}");
    assert!(README.contains(r#"answers `{"message":"success"}`"#));

    let another = pasted(redeem, &server).await;
    assert!(another.starts_with("HTTP/1.1 401"), "{another}");
    assert!(another.contains("RegistrationCodeInvalid"), "{another}");
    let right = redeem.replace(
        "1234-1234-1234-1234",
        &sent(&folder.path().join("mailbox")).await,
    );
    let answer = pasted(&right, &server).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The code of the one mail in this folder.
async fn sent(mailbox: &std::path::Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let files = std::fs::read_dir(mailbox).into_iter().flatten();
        let whole = files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .find(|mail| mail.trim_end().ends_with("--"));
        if let Some(mail) = whole {
            return code(&mail);
        }
        assert!(Instant::now() < deadline, "no mail has come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
