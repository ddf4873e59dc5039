//! Writes a file of std's tests for a world.

use std::fs;
use std::path::Path;

use proc_macro2::Group;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use quote::ToTokens;
use syn::Item;
use syn::ItemMacro;
use syn::parse_quote;

use crate::paths::lead;
use crate::suites::Suite;
use crate::suites::UNSTABLE;

/// The tests of a file, as a module's text. Only whole functions are left out; one that the list
/// names and that is not there is an error.
pub fn module(library: &Path, suite: &Suite, world: &str, ports: u16) -> String {
    let path = library.join(suite.file);
    println!("cargo::rerun-if-changed={}", path.display());
    let text = fs::read_to_string(&path).expect("a file of std's tests");
    // Worlds run at the same time, each with ports of its own.
    let text = text.replace("BASE_PORT: u16 = 19600", &format!("BASE_PORT: u16 = {ports}"));
    let mut items = syn::parse_file(&text).expect("Rust").items;
    let unstable = suite.unstable.iter().map(|name| ("", *name, "it tests what is unstable"));
    let left_out = suite.left_out.iter().copied().chain(unstable);
    for (_, name, _reason) in left_out.filter(|(of, ..)| of.is_empty() || *of == world) {
        let before = items.len();
        items.retain(|item| name_of(item).as_deref() != Some(name));
        assert!(items.len() < before, "{} has no {name}", suite.file);
    }
    items.retain(|item| !is_only_for_std(item));
    for item in &mut items {
        if let Item::Use(import) = item {
            *import = syn::parse2(stable_only(import.to_token_stream())).expect("an import");
        }
    }
    let items = items.into_iter().map(without_macro);
    let extra = syn::parse_str::<syn::File>(suite.extra).expect("Rust").items;
    let items = extra.into_iter().chain(items).collect();
    let file = syn::File { shebang: None, attrs: Vec::new(), items };
    // Paths are changed as tokens, since macros hide them from the parser.
    let tokens = lead(file.to_token_stream(), suite.parent, world);
    let text = prettyplease::unparse(&syn::parse2(tokens).expect("Rust"));
    format!("pub mod {} {{\n{text}\n}}\n", suite.name)
}

/// Whether an item is a benchmark, or an import that is of no use here.
fn is_only_for_std(item: &Item) -> bool {
    match item {
        Item::Mod(module) => module.ident.to_string().ends_with("benches"),
        // Locks without poison are unstable.
        Item::Fn(function) => function.sig.ident.to_string().starts_with("nonpoison_"),
        Item::Use(import) => {
            let last = import.tree.to_token_stream().into_iter().last();
            let last = last.map(|token| token.to_string()).unwrap_or_default();
            last == "nonpoison_and_poison_unwrap_test" || UNSTABLE.contains(&last.as_str())
        }
        _ => false,
    }
}

/// Takes names of what is unstable out of an import.
fn stable_only(tokens: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_unstable = |at: usize| {
        matches!(tokens.get(at), Some(TokenTree::Ident(name))
            if UNSTABLE.iter().any(|unstable| name == unstable))
    };
    let mut out = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let inner = stable_only(group.stream());
                out.push(TokenTree::Group(Group::new(group.delimiter(), inner)));
            }
            // The name, and the comma behind it.
            _ if is_unstable(at) || (at > 0 && is_unstable(at - 1)) => {}
            other => out.push(other.clone()),
        }
    }
    out.into_iter().collect()
}

/// What an item is called in a list: a function, a module, a test made by std's macro.
fn name_of(item: &Item) -> Option<String> {
    match item {
        Item::Fn(function) => Some(function.sig.ident.to_string()),
        Item::Mod(module) => Some(module.ident.to_string()),
        Item::Impl(block) => Some(block.self_ty.to_token_stream().to_string()),
        Item::Macro(call) => poison_test(call).map(|(name, _)| name.to_string()),
        Item::Use(import) => Some(import.tree.to_token_stream().to_string()),
        _ => None,
    }
}

/// The name and the body of a test that is to be made for locks with and without poison.
fn poison_test(call: &ItemMacro) -> Option<(TokenTree, TokenTree)> {
    call.mac.path.is_ident("nonpoison_and_poison_unwrap_test").then_some(())?;
    let mut tokens = call.mac.tokens.clone().into_iter();
    Some((tokens.nth(2)?, tokens.nth(3)?))
}

/// Makes a plain test of such a macro call: only locks with poison are stable.
fn without_macro(item: Item) -> Item {
    let Item::Macro(call) = &item else { return item };
    let Some((name, body)) = poison_test(call) else { return item };
    parse_quote! {
        #[test]
        fn #name() {
            use std::result_unwrap as maybe_unwrap;
            use std::sync::poison as locks;
            #body
        }
    }
}
