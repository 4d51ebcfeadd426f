//! "Did you mean": the nearest known word to an unknown one.

/// Longer words are not compared; no field or kind is that long.
const LONGEST: usize = 64;

/// The candidate that `unknown` most likely stands for, if one is near enough: at most a third of its letters apart,
/// case left aside. Ties go to the earlier candidate.
pub fn suggest<'a>(unknown: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if unknown.chars().count() > LONGEST {
        return None;
    }
    let wanted: Vec<char> = unknown.to_lowercase().chars().collect();
    let allowed = (wanted.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.to_lowercase().chars().take(LONGEST + 1).collect();
        let apart = distance(&wanted, &letters);
        // Two words of one letter have nothing in common but their length.
        let near = apart <= allowed && apart < wanted.len().max(letters.len());
        if near && best.is_none_or(|(least, _)| apart < least) {
            best = Some((apart, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edits between two words; swapping neighbours is one edit.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let fields = ["cron", "every", "concurrencyPolicy", "timeZone", "catchUp"];
        assert_eq!(suggest("evrey", fields), Some("every"));
        assert_eq!(suggest("timezone", fields), Some("timeZone"));
        assert_eq!(suggest("concurencyPolicy", fields), Some("concurrencyPolicy"));
        assert_eq!(suggest("corn", fields), Some("cron"));
    }

    #[test]
    fn a_different_word_is_not_twisted_into_a_known_one() {
        let fields = ["cron", "every"];
        assert_eq!(suggest("lane", fields), None);
        assert_eq!(suggest("x", ["y"]), None);
        assert_eq!(suggest("", fields), None);
        assert_eq!(suggest(&"x".repeat(10_000), fields), None);
    }
}
