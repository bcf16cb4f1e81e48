//! What a plain scalar is, and whether every YAML reader says so.
//!
//! YAML 1.1 (PyYAML, SnakeYAML, Psych; `kubectl` in part) and 1.2 type some plain scalars differently. Those are
//! refused, so that a manifest means the same to everything that reads it.

/// A plain scalar's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
    /// Read differently by YAML 1.1 and YAML 1.2: as what by one of them, in words.
    Ambiguous(&'static str),
    /// A number that neither an `i64` nor an `f64` holds.
    Unrepresentable,
}

/// Classifies a plain scalar by the rules that YAML 1.1 and YAML 1.2's core schema share.
pub(super) fn classify(text: &str) -> Plain {
    let Some(first) = text.bytes().next() else { return Plain::Null };
    match first {
        b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'y' | b'Y' | b'o' | b'O' => word(text),
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        b'=' if text == "=" => Plain::Ambiguous("a default value"),
        b'<' if text == "<<" => Plain::Ambiguous("a merge key"),
        _ => Plain::Text,
    }
}

fn word(text: &str) -> Plain {
    match text {
        "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "n" | "N" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off"
        | "Off" | "OFF" => Plain::Ambiguous("a boolean"),
        _ => Plain::Text,
    }
}

fn number(text: &str) -> Plain {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let signed = unsigned.len() != text.len();
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Plain::Unrepresentable;
    }
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return hexadecimal(digits, signed);
    }
    if let Some(digits) = unsigned.strip_prefix("0o")
        && all(digits, |byte| matches!(byte, b'0'..=b'7'))
    {
        return Plain::Ambiguous("an octal number");
    }
    if let Some(digits) = unsigned.strip_prefix("0b")
        && all(digits, |byte| matches!(byte, b'0' | b'1' | b'_'))
    {
        return Plain::Ambiguous("a binary number");
    }
    if unsigned.contains(':') {
        return if is_sexagesimal(unsigned) { Plain::Ambiguous("a number to base 60") } else { Plain::Text };
    }
    if unsigned.contains('_') {
        let looks_like_a_number = unsigned.bytes().any(|byte| byte.is_ascii_digit())
            && unsigned.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.')
            && unsigned
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'e' | b'E' | b'+' | b'-'));
        return if looks_like_a_number { Plain::Ambiguous("a number") } else { Plain::Text };
    }
    if all(unsigned, |byte| byte.is_ascii_digit()) {
        return integer(text, unsigned);
    }
    decimal(text, unsigned, signed)
}

fn all(text: &str, accepts: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(accepts)
}

fn hexadecimal(digits: &str, signed: bool) -> Plain {
    if !all(digits, |byte| byte.is_ascii_hexdigit() || byte == b'_') {
        return Plain::Text;
    }
    if signed || digits.contains('_') {
        return Plain::Ambiguous("a hexadecimal number");
    }
    i64::from_str_radix(digits, 16).map_or(Plain::Unrepresentable, Plain::Int)
}

fn integer(text: &str, unsigned: &str) -> Plain {
    if unsigned.len() > 1 && unsigned.starts_with('0') {
        return Plain::Ambiguous("an octal number");
    }
    match text.parse() {
        Ok(value) => Plain::Int(value),
        Err(_) => float(text),
    }
}

/// `[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?`; some YAML 1.1 readers want no leading zero, others take it.
fn is_sexagesimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let digits = |part: &str| all(part, |byte| byte.is_ascii_digit() || byte == b'_');
    parts.next().is_some_and(|part| digits(part) && !part.starts_with('_'))
        && parts.all(|part| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
        && (fraction.is_empty() || digits(fraction))
}

fn decimal(text: &str, unsigned: &str, signed: bool) -> Plain {
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole)
        || !fraction.is_none_or(digits)
        || (whole.is_empty() && fraction.is_none_or(str::is_empty))
    {
        return Plain::Text;
    }
    if let Some(exponent) = exponent {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if !all(unsigned, |byte| byte.is_ascii_digit()) {
            return Plain::Text;
        }
        // YAML 1.1 wants a point in the mantissa and a sign in the exponent.
        if fraction.is_none() || unsigned.len() == exponent.len() {
            return Plain::Ambiguous("a number");
        }
    }
    // A sign before a point is a number for YAML 1.2 only.
    if signed && whole.is_empty() {
        return Plain::Ambiguous("a number");
    }
    float(text)
}

/// A decimal number as `f64`, when that loses none of its digits.
pub(super) fn float(text: &str) -> Plain {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && says(text, value) => Plain::Float(value),
        _ => Plain::Unrepresentable,
    }
}

/// Whether `text` is the number, or the number rounded to as many digits as `text` has.
fn says(text: &str, value: f64) -> bool {
    /// No `f64` has more significant digits than this.
    const MOST_DIGITS: usize = 767;
    let Some((digits, power)) = decimal_parts(text) else { return false };
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return value == 0.0 && digits.is_empty();
    }
    let rounded = decimal_parts(&format!("{value:.*e}", digits.len() - 1));
    let shortest = decimal_parts(&format!("{value:e}"));
    let written = Some((digits, power));
    written == rounded || written == shortest || written.is_some_and(|written| is_half_way(written, value))
}

/// Whether the number lies exactly between two roundings to the digits that were written, and these are the upper
/// one: writers of numbers differ there.
fn is_half_way((written, power): (Vec<u8>, i64), value: f64) -> bool {
    let Some((mut exact, exact_power)) = decimal_parts(&format!("{value:.767e}")) else { return false };
    let half = exact.pop() == Some(b'5') && exact_power == power - 1;
    if let Some(last) = exact.last_mut() {
        *last += 1;
    }
    half && exact == written
}

/// A decimal number's significant digits and the power of ten of the last of them; the sign is left out.
fn decimal_parts(text: &str) -> Option<(Vec<u8>, i64)> {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> =
        whole.bytes().chain(fraction.bytes()).skip_while(|&digit| digit == b'0').collect();
    let mut power = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    while digits.last() == Some(&b'0') {
        digits.pop();
        power = power.checked_add(1)?;
    }
    Some(if digits.is_empty() { (digits, 0) } else { (digits, power) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_versions_read_alike_is_typed() {
        for (text, expected) in [
            ("", Plain::Null),
            ("~", Plain::Null),
            ("NULL", Plain::Null),
            ("nULL", Plain::Text),
            ("True", Plain::Bool(true)),
            ("tRUE", Plain::Text),
            ("0", Plain::Int(0)),
            ("-0", Plain::Int(0)),
            ("+12", Plain::Int(12)),
            ("-9223372036854775808", Plain::Int(i64::MIN)),
            ("9223372036854775808", Plain::Float(9_223_372_036_854_775_808.0)),
            ("0x1F", Plain::Int(31)),
            ("1.5", Plain::Float(1.5)),
            ("1.50", Plain::Float(1.5)),
            (".5", Plain::Float(0.5)),
            ("5.", Plain::Float(5.0)),
            ("1.5e+3", Plain::Float(1500.0)),
            ("0.1", Plain::Float(0.1)),
            ("1.2.3", Plain::Text),
            ("127.0.0.1", Plain::Text),
            ("2001-12-14", Plain::Text),
            ("2001-12-14T21:59:43.10-05:00", Plain::Text),
            ("12:99", Plain::Text),
            ("::1", Plain::Text),
            ("1:", Plain::Text),
            ("-", Plain::Text),
            (".", Plain::Text),
            ("...", Plain::Text),
            ("+", Plain::Text),
            ("_1", Plain::Text),
            ("1_a", Plain::Text),
            ("1e", Plain::Text),
            ("0xZZ", Plain::Text),
            ("0o8", Plain::Text),
            ("Yess", Plain::Text),
            ("+13035551212", Plain::Int(13_035_551_212)),
        ] {
            assert_eq!(classify(text), expected, "{text}");
        }
    }

    #[test]
    fn what_they_read_differently_is_ambiguous() {
        for text in [
            "y",
            "Y",
            "n",
            "N",
            "yes",
            "Yes",
            "YES",
            "no",
            "No",
            "NO",
            "on",
            "On",
            "ON",
            "off",
            "Off",
            "OFF",
            "0755",
            "00",
            "08",
            "007",
            "-01",
            "+0755",
            "0o17",
            "0b101",
            "-0b1",
            "-0x1F",
            "0x1_F",
            "1_000",
            "1_000.5",
            "0_1",
            "12:30:45",
            "1:30",
            "00:30",
            "190:20:30.15",
            "1e3",
            "1E5",
            "1.5e3",
            "1e+3",
            "123e4567",
            "-.5",
            "+.5",
            "=",
            "<<",
        ] {
            assert!(matches!(classify(text), Plain::Ambiguous(_)), "{text}: {:?}", classify(text));
        }
    }

    #[test]
    fn what_json_numbers_cannot_hold_is_refused() {
        for text in [
            ".inf",
            "-.Inf",
            ".nan",
            "18446744073709551615",
            "9007199254740993.5",
            "1.0e+400",
            "1.0e-400",
            "3.14159265358979323846264338327950288",
            "0xFFFFFFFFFFFFFFFF",
        ] {
            assert_eq!(classify(text), Plain::Unrepresentable, "{text}");
        }
    }
}
