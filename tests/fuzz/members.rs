//! JSON objects by the protocol's rules, read apart from the crate, and near-valid ones to read.

use std::{collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::source::Source;

/// The members with one of these names, if `json` is UTF-8 and one object without a name twice.
pub(crate) fn read(json: &[u8], names: &[&str]) -> Option<Vec<(String, Value)>> {
    let text = std::str::from_utf8(json).ok()?;
    let mut json = serde_json::Deserializer::from_slice(text.as_bytes());
    let members = json.deserialize_map(Wanted(names)).ok()?;
    json.end().ok()?;
    Some(members)
}

/// The text of the one member that has any of these names.
pub(crate) fn text(members: &[(String, Value)], names: &[&str]) -> Option<String> {
    let mut found = members.iter().filter(|(name, _)| names.contains(&&**name));
    match (found.next(), found.next()) {
        (Some((_, Value::String(text))), None) => Some(text.clone()),
        _ => None,
    }
}

struct Wanted<'a>(&'a [&'a str]);

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(M::Error::custom("twice"));
            }
            if self.0.contains(&&*name) {
                members.push((name, map.next_value()?));
            } else {
                // Of any depth.
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(members)
    }
}

/// An object of `members`, among which others may stand, with space, and with some bytes changed.
pub(crate) fn near_valid(source: &mut Source<'_>, members: &[(&str, String)]) -> Vec<u8> {
    const OTHERS: [&str; 8] = [
        "",
        r#""x":1,"#,
        r#""x":[{"uuid":"a"},null,1e999],"#,
        r#" "\u0078" : "\ud83d\ude00" , "#,
        r#""":{},"#,
        r#""x":-0.0,"x":true,"#,
        r#""username":1,"#,
        "\n",
    ];
    let mut json = source.pick(&["{", " \r\n\t{ ", "\u{feff}{"]).to_owned();
    let first = source.below(members.len());
    for index in 0..members.len() {
        let (name, text) = &members[(first + index) % members.len()];
        json += source.pick(&OTHERS);
        let value = match source.byte() {
            250.. => source.pick(&["1", "null", "[]", "{\"a\":[]}"]).to_owned(),
            _ => serde_json::to_string(text).expect("JSON"),
        };
        json.extend(["\"", name, "\":", &value]);
        json += if index + 1 < members.len() { "," } else { "" };
    }
    json += source.pick(&["}", "}\n", " } ", "}}", "", "}\u{0}"]);
    let mut json = json.into_bytes();
    source.edit(&mut json);
    json
}
