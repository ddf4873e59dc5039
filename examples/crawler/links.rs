//! Links: where they stand in a page, and where they lead. Pure: it fetches nothing.

use ureq::http::Uri;

/// The address that somebody typed, in the form in which it is compared with others.
pub(crate) fn parse(text: &str) -> Option<Uri> {
    let text = text.split('#').next()?;
    let uri: Uri = text.parse().ok()?;
    if uri.scheme_str() != Some("http") {
        return None;
    }
    let authority = uri.authority()?.as_str().to_ascii_lowercase();
    // A password belongs to nobody else's page.
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let authority = authority.strip_suffix(":80").unwrap_or(&authority);
    let path = without_dots(uri.path());
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    format!("http://{authority}{path}{query}").parse().ok()
}

/// The address that a link on a page leads to. `None` if it is no `http` address.
pub(crate) fn resolve(page: &Uri, link: &str) -> Option<Uri> {
    let link = link.trim().split('#').next()?;
    let authority = page.authority()?;
    let path = page.path();
    let scheme = link.split(['/', '?']).next()?.split_once(':').map(|(scheme, _)| scheme);
    match scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => parse(link),
        Some(_) => None,
        None if link.starts_with("//") => parse(&format!("http:{link}")),
        None if link.starts_with('/') => parse(&format!("http://{authority}{link}")),
        None if link.is_empty() => Some(page.clone()),
        None if link.starts_with('?') => parse(&format!("http://{authority}{path}{link}")),
        None => {
            let (directory, _) = path.rsplit_once('/').unwrap_or_default();
            parse(&format!("http://{authority}{directory}/{link}"))
        }
    }
}

/// What stands behind each `href` of a page's tags. It looks for no more than that: a real
/// parser of HTML knows comments and scripts as well.
pub(crate) fn hrefs(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for tag in html.split('<').skip(1) {
        // What belongs to the tag does not end at a `>` in quotes, but this is no link then.
        let tag = tag.split_once('>').map_or(tag, |(tag, _)| tag);
        // Bytes of other characters are as they were, so that places are the same.
        let lower = tag.to_ascii_lowercase();
        for (at, word) in lower.match_indices("href") {
            let is_whole = lower[..at].ends_with(|c: char| c.is_ascii_whitespace());
            if let Some(value) = tag[at + word.len()..].trim_start().strip_prefix('=')
                && is_whole
            {
                found.push(unquoted(value.trim_start()).replace("&amp;", "&"));
            }
        }
    }
    found
}

fn unquoted(value: &str) -> &str {
    let mut chars = value.chars();
    let end = match chars.next() {
        Some(quote @ ('"' | '\'')) => return chars.as_str().split(quote).next().unwrap_or(""),
        _ => value.find(|c: char| c.is_ascii_whitespace()),
    };
    &value[..end.unwrap_or(value.len())]
}

/// A path without `.` and `..`, as RFC 3986, 5.2.4 says.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut is_directory = false;
    for segment in segments {
        is_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let end = if is_directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}
