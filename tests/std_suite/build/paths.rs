//! Leads paths to a world.

use proc_macro2::Group;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;

/// Leads paths that begin at `std`, `crate` or `super` to a world.
pub fn lead(tokens: TokenStream, parent: &str, world: &str) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_colon = |at: usize| match tokens.get(at) {
        Some(TokenTree::Punct(punct)) => punct.as_char() == ':',
        _ => false,
    };
    let colons = |at: usize| is_colon(at) && is_colon(at + 1);
    let mut out = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let begins_path = colons(at + 1) && !(at >= 2 && colons(at - 2));
        match token {
            TokenTree::Group(group) => {
                let inner = lead(group.stream(), parent, world);
                out.push(TokenTree::Group(Group::new(group.delimiter(), inner)));
            }
            TokenTree::Ident(name) if begins_path && name == "super" => {
                assert!(!parent.is_empty(), "there is a parent");
                out.extend(path(&format!("crate::{world}::std::{parent}")));
            }
            TokenTree::Ident(name) if begins_path && (name == "std" || name == "crate") => {
                out.extend(path(&format!("crate::{world}::std")));
            }
            other => out.push(other.clone()),
        }
    }
    out.into_iter().collect()
}

fn path(text: &str) -> TokenStream {
    text.parse().expect("a path")
}
