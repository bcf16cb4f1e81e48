//! Numbers that neither 64-bit integers nor doubles hold: FusionAuth keeps big integers and decimals of `data` as they
//! are (wire notes §4). Between the wire's two ends such a number is a marked string, so that nothing rounds it.

use std::borrow::Cow;

use bytes::Bytes;

/// What a number that is kept as text begins with; a private-use character that no text has a reason to hold.
const MARK: &str = "\u{f8ff}number:";
/// Decimal digits that a double always gives back.
const SAFE_DIGITS: usize = 15;

/// A request's JSON with every number marked that would not come back as it was sent. What is no JSON stays as it is.
pub fn sheltered(body: &Bytes) -> Bytes {
    let mut out: Vec<u8> = Vec::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = body.get(at) {
        at = match byte {
            b'"' => string_end(body, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = token_end(body, at);
                let token = body.get(at..end).and_then(|token| std::str::from_utf8(token).ok()).unwrap_or("");
                if is_json_number(token) && !survives(token) {
                    out.extend(body.get(copied..at).unwrap_or_default());
                    out.extend([b"\"", MARK.as_bytes(), token.as_bytes(), b"\""].concat());
                    copied = end;
                }
                end
            }
            _ => at + 1,
        };
    }
    if copied == 0 {
        return body.clone();
    }
    out.extend(body.get(copied..).unwrap_or_default());
    out.into()
}

/// An answer's JSON with the marked numbers written out again.
pub fn revealed(body: Vec<u8>) -> Vec<u8> {
    let first = MARK.as_bytes().first().copied().unwrap_or_default();
    if !body.contains(&first) {
        return body;
    }
    match String::from_utf8(body) {
        Ok(text) => reveal_text(text).into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

fn reveal_text(text: String) -> String {
    let opening = format!("\"{MARK}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(&opening) {
        out.push_str(before);
        match after.split_once('"').filter(|(token, _)| is_json_number(token)) {
            Some((token, remainder)) => {
                out.push_str(token);
                rest = remainder;
            }
            None => {
                out.push_str(&opening);
                rest = after;
            }
        }
    }
    if out.is_empty() {
        return text;
    }
    out.push_str(rest);
    out
}

/// The digits of a marked number; `None` for any other text.
pub fn marked(text: &str) -> Option<&str> {
    text.strip_prefix(MARK).filter(|token| is_json_number(token))
}

/// A text as a person wrote it: a marked number without its mark.
pub fn plain(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(marked(text).unwrap_or(text))
}

/// The place behind the closing quote of a string whose inside begins at `at`.
fn string_end(body: &[u8], mut at: usize) -> usize {
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn token_end(body: &[u8], at: usize) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let length = body.get(at..).unwrap_or_default().iter().take_while(|byte| is_part(byte)).count();
    at + length
}

/// RFC 8259's grammar of a number.
fn is_json_number(token: &str) -> bool {
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// Whether the number is the same after it has been an integer of 64 bits or a double.
fn survives(token: &str) -> bool {
    if token.len() <= SAFE_DIGITS && !token.contains(['e', 'E']) {
        return true;
    }
    if token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok() {
        return true;
    }
    match token.parse::<f64>() {
        Ok(number) if number.is_finite() => {
            let given = significant(token);
            given.is_some() && given == significant(&format!("{number:e}"))
        }
        _ => false,
    }
}

/// The digits without zeros at either end, and the power of ten of the last one; `None` for an exponent beyond measure.
fn significant(token: &str) -> Option<(String, i64)> {
    let unsigned = token.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let kept = digits.trim_end_matches('0');
    let zeros = digits.len() - kept.len();
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        return Some((String::new(), 0));
    }
    let power = exponent.parse::<i64>().ok()?;
    let shift = i64::try_from(zeros).ok()?.checked_sub(i64::try_from(fraction).ok()?)?;
    Some((kept.to_owned(), power.checked_add(shift)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelter(text: &str) -> String {
        String::from_utf8(sheltered(&Bytes::copy_from_slice(text.as_bytes())).to_vec()).unwrap()
    }

    #[test]
    fn what_a_double_holds_stays_as_it_is() {
        let text = r#"{"a": [0, -1, 1.5, 1e5, 1.10, 9223372036854775807, 18446744073709551615, 0.1, 1E-7, 0e99999999999],
                      "b": "12345678901234567890123 \" 0.12345678901234567890", "c": 52.5200066, "d": 1e-300}"#;
        assert_eq!(shelter(text), text);
    }

    #[test]
    fn what_it_does_not_hold_comes_back_to_the_letter() {
        for number in [
            "12345678901234567890123",
            "-18446744073709551616.5",
            "0.12345678901234567890",
            "1e400",
            "1e-400",
            "3.141592653589793238462643",
            "1E+99999999999999999999",
        ] {
            let text = format!(r#"{{"a":[{number}],"b":"{number}"}}"#);
            let inside = shelter(&text);
            let value: serde_json::Value = serde_json::from_str(&inside).unwrap();
            assert_eq!(value["a"][0].as_str().and_then(marked), Some(number));
            assert_eq!(plain(value["a"][0].as_str().unwrap()), number);
            assert_eq!(revealed(serde_json::to_vec(&value).unwrap()), text.into_bytes());
        }
    }

    #[test]
    fn what_is_no_number_is_left_to_the_parser() {
        for text in [
            "01234567890123456789",
            "1234567890123456.",
            "--12345678901234567",
            "[1.2.3.4.5.6.7.8.9]",
            "\"a\\",
            "-",
        ] {
            assert_eq!(shelter(text), text);
        }
        let forged = format!("\"{MARK}1, \\\"x\\\": 2\"");
        assert_eq!(revealed(forged.clone().into_bytes()), forged.into_bytes());
        let other = "\"\u{f8ff}\"".to_owned();
        assert_eq!(revealed(other.clone().into_bytes()), other.into_bytes());
    }
}
