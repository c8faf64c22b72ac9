//! Attribute values as files write them: separated, or as a Python list printed as text.

/// The values of a cell: `Action RPG` with separator ` `, or `['Action', 'Free to Play']`. Empty pieces are dropped.
pub(crate) fn values(text: &str, separator: &str) -> Vec<String> {
    let trimmed = text.trim();
    match trimmed.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inside) => list_items(inside),
        None => {
            let pieces = trimmed.split(separator).map(str::trim);
            pieces.filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
        }
    }
}

/// Items of a Python list without its brackets: quoted with `'` or `"`, `\` escapes; or bare.
fn list_items(text: &str) -> Vec<String> {
    let (mut items, mut item) = (Vec::new(), String::new());
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => item.extend(characters.next()),
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') if item.trim().is_empty() => {
                item.clear();
                quote = Some(character);
            }
            (None, ',') => items.push(std::mem::take(&mut item)),
            _ => item.push(character),
        }
    }
    items.push(item);
    items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn separated_values() {
        assert_eq!(values("Animation Children's  Comedy ", " "), ["Animation", "Children's", "Comedy"]);
        assert_eq!(values("Free to Play|RPG", "|"), ["Free to Play", "RPG"]);
        assert!(values("", " ").is_empty());
    }

    #[test]
    fn printed_python_lists() {
        assert_eq!(values("['Action', 'Free to Play']", " "), ["Action", "Free to Play"]);
        assert_eq!(values(r#"["Children's", 'it\'s', bare]"#, " "), ["Children's", "it's", "bare"]);
        assert_eq!(values("['Sci-Fi, really']", " "), ["Sci-Fi, really"]);
        assert!(values("[]", " ").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}|[\\[\\]'\",\\\\a ]{0,30}", separator in "[ |,]") {
            prop_assert!(values(&text, &separator).iter().all(|value| !value.is_empty()));
        }
    }
}
