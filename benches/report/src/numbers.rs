//! Numbers as people read them.

/// Three digits that count, and thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if digits.len() <= 4 || digits.contains('.') {
        return digits;
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_the_digits_that_count() {
        let cases = [(0.0, "0.00"), (4.816, "4.82"), (12.34, "12.3"), (99.97, "100")];
        let more = [(1234.0, "1234"), (12345.6, "12,346"), (1e6, "1,000,000"), (-1e4, "-10,000")];
        for (value, text) in cases.into_iter().chain(more) {
            assert_eq!(number(value), text);
        }
    }
}
