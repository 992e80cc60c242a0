//! The `fields` of playlists: which parts of an answer are wanted, as `total,items(added_at,track.name,!href)`.

use serde_json::Value;

/// Names with what is wanted of them; nothing below a name means all of it.
#[derive(Debug, Default)]
struct Tree(Vec<Branch>);

#[derive(Debug)]
struct Branch {
    name: String,
    is_excluded: bool,
    below: Tree,
}

/// The parts of a value that are wanted.
pub(super) fn selected(value: Value, fields: Option<&str>) -> Value {
    match fields {
        Some(fields) if !fields.is_empty() => select(value, &parse(&mut fields.chars().peekable())),
        _ => value,
    }
}

fn parse(text: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Tree {
    let mut tree = Tree::default();
    loop {
        let is_excluded = text.next_if_eq(&'!').is_some();
        let mut path: Vec<String> = vec![String::new()];
        while let Some(letter) = text.next_if(|letter| !matches!(letter, ',' | '(' | ')')) {
            match (letter, path.last_mut()) {
                ('.', _) => path.push(String::new()),
                (letter, Some(name)) => name.push(letter),
                (_, None) => {}
            }
        }
        let below = match text.next_if_eq(&'(') {
            Some(_) => parse(text),
            None => Tree::default(),
        };
        tree.add(&path, is_excluded, below);
        match text.next() {
            Some(',') => {}
            _ => return tree,
        }
        if text.peek().is_none() {
            return tree;
        }
    }
}

impl Tree {
    fn add(&mut self, path: &[String], is_excluded: bool, below: Tree) {
        let Some((name, rest)) = path.split_first() else { return };
        let name = name.trim();
        if name.is_empty() {
            return;
        }
        let is_last = rest.is_empty();
        let index = self.0.iter().position(|branch| branch.name == name).unwrap_or_else(|| {
            let is_excluded = is_excluded && is_last;
            self.0.push(Branch { name: name.to_owned(), is_excluded, below: Tree::default() });
            self.0.len() - 1
        });
        let branch = &mut self.0[index];
        if is_last {
            branch.below.0.extend(below.0);
        } else {
            branch.below.add(rest, is_excluded, below);
        }
    }
}

fn select(value: Value, tree: &Tree) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| select(item, tree)).collect(),
        Value::Object(fields) => {
            // A list of exclusions alone keeps everything else.
            let keeps_rest = tree.0.iter().all(|branch| branch.is_excluded);
            let kept = fields.into_iter().filter_map(|(name, value)| {
                match tree.0.iter().find(|branch| branch.name == name) {
                    Some(branch) if branch.is_excluded => None,
                    Some(branch) if branch.below.0.is_empty() => Some((name, value)),
                    Some(branch) => Some((name, select(value, &branch.below))),
                    None => keeps_rest.then_some((name, value)),
                }
            });
            Value::Object(kept.collect())
        }
        other => other,
    }
}
