//! Draws what `cargo bench` has measured: `benches/performance.svg`, and on the standard output the
//! README's table.
//!
//! ```sh
//! cargo bench && cargo run --example bench_report
//! ```
//!
//! It reads the medians that criterion leaves under `target/criterion`, or under the directory that
//! is its one argument. A function that has not been measured is left out, and named as missing.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread,
};

/// A group, ours in it, and what it is compared with.
const COMPARISONS: &[(&str, &str, &str, &[&str])] = &[
    ("read a nonce", "nonce_decode", "ours", &["composed"]),
    (
        "claim a nonce among 1,000,000",
        "replay_claim",
        "ours",
        &["moka", "quick_cache", "dashmap", "nonce_auth"],
    ),
    (
        "verify a request, RS256",
        "verify_rs256",
        "ours",
        &["ring_floor", "httpsig_hyper", "jsonwebtoken"],
    ),
    (
        "the same without the key",
        "verify_text",
        "ours",
        &[
            "httpsig_hyper_hmac",
            "http_signature_normalization",
            "scratchstack",
        ],
    ),
];

/// What whole requests add to the inner service's own time.
const REQUESTS: &[(&str, &str)] = &[
    ("a client-side application's, no signature", "client_app"),
    ("a server-side application's, RS256", "server_app"),
];

/// One peer beside ours; times in nanoseconds.
struct Row {
    what: &'static str,
    peer: &'static str,
    ours: f64,
    theirs: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let directory = env::args_os()
        .nth(1)
        .map_or_else(|| target.join("criterion"), PathBuf::from);
    let mut rows = Vec::new();
    for (what, group, ours, peers) in COMPARISONS {
        for peer in *peers {
            match (
                median(&directory, group, ours),
                median(&directory, group, peer),
            ) {
                (Ok(ours), Ok(theirs)) => rows.push(Row {
                    what,
                    peer,
                    ours,
                    theirs,
                }),
                (Err(error), _) | (_, Err(error)) => eprintln!("left out: {error}"),
            }
        }
    }
    if rows.is_empty() {
        return Err(format!(
            "nothing has been measured under {}: run `cargo bench` first",
            directory.display()
        )
        .into());
    }
    fs::write("benches/performance.svg", svg(&rows)?)?;
    print!("{}", table(&rows)?);
    println!();
    for (what, function) in REQUESTS {
        let times = median(&directory, "stack", function)
            .and_then(|whole| Ok(whole - median(&directory, "stack", "bare")?));
        match times {
            Ok(added) => println!(
                "- a request through all layers, {what}: {} more",
                time(added)
            ),
            Err(error) => eprintln!("left out: {error}"),
        }
    }
    println!("\nMeasured on {}.", machine());
    Ok(())
}

/// The median of one function, in nanoseconds.
fn median(directory: &Path, group: &str, function: &str) -> Result<f64, String> {
    let path = directory.join(format!("{group}/{function}/new/estimates.json"));
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let estimates: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    estimates["median"]["point_estimate"]
        .as_f64()
        .ok_or_else(|| format!("{}: it has no median", path.display()))
}

fn table(rows: &[Row]) -> Result<String, std::fmt::Error> {
    let mut table =
        String::from("| what | ours | beside | | ratio |\n| --- | --- | --- | --- | --- |\n");
    for row in rows {
        let (ours, theirs) = (time(row.ours), time(row.theirs));
        let ratio = row.theirs / row.ours;
        writeln!(
            table,
            "| {} | {ours} | `{}` | {theirs} | {ratio:.2} |",
            row.what, row.peer
        )?;
    }
    Ok(table)
}

fn time(nanoseconds: f64) -> String {
    if nanoseconds < 1_000.0 {
        format!("{nanoseconds:.0} ns")
    } else {
        format!("{:.1} µs", nanoseconds / 1_000.0)
    }
}

/// A bar for each peer: how many times our time it takes. A line marks ours.
fn svg(rows: &[Row]) -> Result<String, std::fmt::Error> {
    const LEFT: f64 = 420.0;
    const UNIT: f64 = 40.0;
    const LINE: f64 = 24.0;
    const MOST: f64 = 8.0;
    let mut bars = String::new();
    let mut y = 40.0;
    for row in rows {
        let ratio = row.theirs / row.ours;
        let width = ratio.min(MOST) * UNIT;
        let fill = if ratio >= 1.0 { "#3b7dd8" } else { "#9aa5b1" };
        let (label, value) = (y + 15.0, LEFT + width + 6.0);
        writeln!(
            bars,
            r#"<text x="{x}" y="{label}" text-anchor="end">{what}: {peer}</text>
<rect x="{LEFT}" y="{y}" width="{width:.1}" height="18" fill="{fill}"/>
<text x="{value:.1}" y="{label}">{ratio:.2}</text>"#,
            x = LEFT - 8.0,
            what = row.what,
            peer = row.peer,
        )?;
        y += LINE;
    }
    let (right, one) = (LEFT + MOST * UNIT + 60.0, LEFT + UNIT);
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{LEFT}" y="22">their time in units of ours (bars end at {MOST})</text>
{bars}<line x1="{one}" y1="32" x2="{one}" y2="{y}" stroke="#d33" stroke-dasharray="4 3"/>
</svg>
"##,
        height = y + 12.0,
    ))
}

/// The processor and how much of it there is.
fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unnamed processor", |(_, name)| name);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores")
}
