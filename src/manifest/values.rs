//! Forms of values: what an e-mail address, a phone number, a locale, … looks like. Whether the server takes it is the
//! server's to say.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

/// One `@`, something on both sides, no blanks or control characters; any script.
pub fn is_email(text: &str) -> bool {
    let no_blanks = !text.chars().any(|character| character.is_whitespace() || character.is_control());
    let mut sides = text.split('@');
    let (name, domain, more) = (sides.next(), sides.next(), sides.next());
    no_blanks
        && more.is_none()
        && name.is_some_and(|name| !name.is_empty())
        && domain.is_some_and(|domain| !domain.is_empty())
}

/// International form: `+` and 7 to 15 digits (E.164), with blanks, hyphens, points and parentheses between them.
pub fn is_phone_number(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('+') else { return false };
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    rest.starts_with(|first: char| matches!(first, '1'..='9'))
        && rest.ends_with(|last: char| last.is_ascii_digit())
        && rest
            .chars()
            .all(|character| character.is_ascii_digit() || matches!(character, ' ' | '-' | '.' | '(' | ')'))
        && (7..=15).contains(&digits)
}

/// A language of ISO 639, with a script (ISO 15924's form) and a region (ISO 3166, or UN M.49 digits) if wanted:
/// `en`, `en_US`, `zh-Hant-TW`.
pub fn is_locale(text: &str) -> bool {
    let mut parts = text.split(['_', '-']).peekable();
    let language = parts.next().unwrap_or_default();
    let known = match language.len() {
        2 => isolang::Language::from_639_1(language).is_some(),
        3 => isolang::Language::from_639_3(language).is_some(),
        _ => false,
    };
    let is_script = |part: &&str| {
        let mut characters = part.chars();
        part.len() == 4
            && characters.next().is_some_and(|first| first.is_ascii_uppercase())
            && characters.all(|character| character.is_ascii_lowercase())
    };
    parts.next_if(is_script);
    let region = parts.next_if(|part| is_region(part));
    known && parts.next().is_none() && (region.is_some() || !text.ends_with(['_', '-']))
}

/// The code of a language whose former code ISO 639 withdrew; Java from version 17 on, and so FusionAuth, writes it so.
pub fn renamed_language(locale: &str) -> Option<&'static str> {
    match locale.split(['_', '-']).next()? {
        "iw" => Some("he"),
        "in" => Some("id"),
        "ji" => Some("yi"),
        _ => None,
    }
}

fn is_region(text: &str) -> bool {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits || (text.len() == 2 && REGIONS.split(' ').any(|region| region == text))
}

/// ISO 3166-1 alpha-2.
const REGIONS: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT \
    BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ \
    FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS \
    IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN \
    MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW \
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN \
    TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Every time zone of the IANA database, backward names too.
pub fn time_zones() -> &'static BTreeSet<String> {
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let database = jiff::tz::TimeZoneDatabase::bundled();
        database.available().map(|name| name.as_str().to_owned()).collect()
    });
    &NAMES
}

/// `YYYY-MM-DD`, a day that exists.
pub fn is_date(text: &str) -> bool {
    let form = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    form && text.parse::<jiff::civil::Date>().is_ok()
}

/// A duration such as `1h30m`: hours, minutes and seconds in this order, more than nothing.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    for (unit, length) in [('h', 3600_u64), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && seconds > 0).then(|| Duration::from_secs(seconds))
}

/// What is wrong with an instance's URL, if anything.
pub fn url_fault(text: &str) -> Option<&'static str> {
    let Ok(url) = url::Url::parse(text) else { return Some("it is no URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return Some("it is neither http nor https");
    }
    // As browsers do, the parser mends `http:host`, `https:///host` and backslashes.
    let Some((_, rest)) = text.split_once("://").filter(|_| !text.contains('\\')) else {
        return Some("it is no URL");
    };
    // And it drops an empty user name, which is user information all the same.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.is_empty() || url.host_str().is_none_or(str::is_empty) {
        return Some("it names no host");
    }
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        return Some("it holds user information");
    }
    if url.query().is_some() || text.contains('?') {
        return Some("it has a query");
    }
    if url.fragment().is_some() || text.contains('#') {
        return Some("it has a fragment");
    }
    if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Some("it has blanks");
    }
    None
}

/// A name as Kubernetes takes it for objects: a DNS subdomain (RFC 1123), at most 253 characters.
pub fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label_of_any_length)
}

/// A namespace's name: a DNS label, at most 63 characters.
pub fn is_namespace(text: &str) -> bool {
    text.len() <= 63 && is_dns_label_of_any_length(text)
}

fn is_dns_label_of_any_length(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    !text.is_empty() && inner && !text.starts_with('-') && !text.ends_with('-')
}

/// A label's or an annotation's key: `[prefix/]name`.
pub fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_object_name(prefix) && is_label_value(name) && !name.is_empty(),
        None => is_label_value(text) && !text.is_empty(),
    }
}

/// A label's value: at most 63 characters, letters and digits at both ends; it may be empty.
pub fn is_label_value(text: &str) -> bool {
    let edge = |character: Option<char>| character.is_none_or(|character| character.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether JavaScript defines a function of this name, as far as its text tells.
pub fn defines_function(body: &str, name: &str) -> bool {
    let word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '$');
    body.match_indices(name).any(|(at, _)| {
        let before = body.get(..at).unwrap_or_default();
        let after = body.get(at + name.len()..).unwrap_or_default();
        if before.ends_with(word) || after.starts_with(word) {
            return false;
        }
        let declared = before.trim_end().trim_end_matches('*').trim_end().ends_with("function");
        let assigned = after.trim_start().strip_prefix('=').is_some_and(|rest| !rest.starts_with('='));
        declared || assigned
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(accepts: impl Fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(accepts(text), "{text:?}");
        }
        for text in bad {
            assert!(!accepts(text), "{text:?}");
        }
    }

    #[test]
    fn forms_of_people() {
        judge(
            is_email,
            &["a@b", "richard@piedpiper.com", "ü@例え.jp", "a.b+c@d", "\"x\"@y"],
            &["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a@\u{7f}b"],
        );
        judge(
            is_phone_number,
            &["+13035551212", "+1 303-555-1212", "+49 (0) 30.123456", "+4930123456"],
            &[
                "",
                "303-555-1212",
                "+",
                "+0123456789",
                "+12345",
                "+1234567890123456",
                "+1x3035551212",
                "+1303555121-",
                "13035551212",
            ],
        );
        judge(
            is_locale,
            &["en", "en_US", "en-US", "de", "zh_Hant_TW", "es_419", "fil"],
            &["", "xx", "english", "en_", "en_ZZ", "en_us", "EN", "en_US_POSIX", "en__US", "e"],
        );
        judge(
            is_date,
            &["2000-02-29", "1900-01-01"],
            &["2001-02-29", "2000-2-29", "20000229", "2000-02-29T00:00:00Z", "", "2000-13-01"],
        );
    }

    #[test]
    fn time_zones_by_their_names() {
        judge(
            |text| time_zones().contains(text),
            &["Europe/Berlin", "America/Denver", "US/Mountain", "UTC", "Asia/Calcutta"],
            &["Mars/Olympus", "europe/berlin", "", "PST8", "+01:00"],
        );
    }

    #[test]
    fn forms_of_instances() {
        judge(
            |text| url_fault(text).is_none(),
            &["https://a", "http://127.0.0.1:9011", "https://a.example/auth/"],
            &[
                "",
                "a",
                "ftp://a",
                "https://",
                "https://u@a",
                "https://u:p@a",
                "https://@a",
                "https://a?x",
                "https://a?",
                "https://a#",
                "file:///x",
                "http:a",
                "http:/a",
                "https:///a",
                "https:\\\\a",
                "https://a\\b",
            ],
        );
        judge(
            |text| duration(text).is_some(),
            &["10m", "1h30m", "6h", "90s", "1h1m1s"],
            &["", "0s", "10", "m", "1m1h", "1.5h", "-1h", "1d"],
        );
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
    }

    #[test]
    fn forms_of_kubernetes() {
        judge(
            is_object_name,
            &["a", "richard", "a-b.c", "0"],
            &["", "A", "a_b", "-a", "a-", "a..b", ".a", &"x".repeat(254)],
        );
        judge(is_namespace, &["default", "a-b"], &["", "a.b", "A", &"x".repeat(64)]);
        judge(
            is_qualified_name,
            &["app", "app.kubernetes.io/name", "A_b.c"],
            &["", "/a", "a/", "a/b/c", "-a", "A/b c"],
        );
        judge(is_label_value, &["", "a", "A_b-c.1"], &["-", "a b", "a/b", &"x".repeat(64)]);
    }

    #[test]
    fn functions_are_found_by_name() {
        judge(
            |body| defines_function(body, "populate"),
            &[
                "function populate(jwt) {}",
                "async function  populate (a) {}",
                "const populate = (jwt) => {}",
                "populate=x",
            ],
            &[
                "",
                "function populated() {}",
                "populate(1)",
                "if (populate == 1) {}",
                "function x() { repopulate = 1 }",
            ],
        );
    }
}
