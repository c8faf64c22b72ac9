//! What a misspelt name may have meant.

use strsim::normalized_damerau_levenshtein;

const ALIKE: f64 = 0.55;
/// A key with the same last part that is so like the wanted one stands alone.
const SURE: f64 = 0.85;
const MOST_SUGGESTIONS: usize = 3;

/// The known name most like `wanted`, if one is like it.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|name| (normalized_damerau_levenshtein(wanted, name), name));
    scored.filter(|(likeness, _)| *likeness >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// `; did you mean …?`, or else `; there are …`.
pub fn name_hint<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(wanted, known.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if known.is_empty() => "; none is loaded".into(),
        None => format!("; there are {}", listed(known)),
    }
}

/// `; did you mean …?` for a dotted key: keys with the same last part, the key most like it, or its neighbours.
pub fn key_hint(wanted: &str, known: &[String]) -> String {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let likeness = |key: &str| normalized_damerau_levenshtein(wanted, key);
    let mut suggestions: Vec<&str> = known.iter().map(String::as_str).filter(|key| last(key) == last(wanted)).collect();
    suggestions.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    let sure = suggestions.first().is_some_and(|key| likeness(key) >= SURE);
    suggestions.truncate(if sure { 1 } else { MOST_SUGGESTIONS });
    if suggestions.is_empty() {
        suggestions.extend(nearest(wanted, known.iter().map(String::as_str)));
    }
    match suggestions.is_empty() {
        true => neighbours(wanted, known),
        false => format!("; did you mean {}?", quoted(suggestions).join(" or ")),
    }
}

fn neighbours(wanted: &str, known: &[String]) -> String {
    let Some((parent, _)) = wanted.rsplit_once('.') else {
        return "; `prorl-host config show` lists all settings".into();
    };
    let prefix = format!("{parent}.");
    let names: Vec<&str> = known.iter().filter_map(|key| key.strip_prefix(&prefix)).collect();
    match names.is_empty() {
        true => "; `prorl-host config show` lists all settings".into(),
        false => format!("; `{parent}` has {}", listed(names)),
    }
}

fn quoted(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(|name| format!("`{name}`")).collect()
}

fn listed(names: Vec<&str>) -> String {
    quoted(names).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<String> {
        ["algo.gamma", "rl.learning_rate", "rl.group", "imitation.learning_rate", "seed"].map(String::from).into()
    }

    #[test]
    fn a_misspelt_key_finds_the_nearest() {
        assert_eq!(key_hint("algo.gama", &keys()), "; did you mean `algo.gamma`?");
        assert_eq!(key_hint("rll.group", &keys()), "; did you mean `rl.group`?");
    }

    #[test]
    fn a_key_without_its_table_finds_its_namesakes() {
        assert_eq!(key_hint("group", &keys()), "; did you mean `rl.group`?");
        let hint = key_hint("learning_rate", &keys());
        assert_eq!(hint, "; did you mean `rl.learning_rate` or `imitation.learning_rate`?");
    }

    #[test]
    fn a_strange_key_gets_the_list_of_its_table() {
        assert_eq!(key_hint("rl.zzz", &keys()), "; `rl` has `learning_rate`, `group`");
    }
}
