//! Relative links in Markdown lead to files of this workspace.

use std::path::{Component, Path, PathBuf};

use super::Violation;
use crate::{Outcome, workspace};

/// Dead links of every Markdown file in the workspace.
pub(super) fn violations(root: &Path) -> Outcome<Vec<Violation>> {
    let mut found = Vec::new();
    for file in workspace::files(root, ".md")? {
        let folder = file.parent().unwrap_or(root);
        for (line, target) in relative_links(&workspace::read(&file)?) {
            if !leads_inside(root, folder, &target) {
                let message = format!("the link `{target}` leads to no file of this workspace");
                found.push(Violation::new(&workspace::relative(root, &file), line, message));
            }
        }
    }
    Ok(found)
}

fn leads_inside(root: &Path, folder: &Path, target: &str) -> bool {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let Some(inside) = normal(&folder.join(path)) else { return false };
    inside.starts_with(root) && inside.exists()
}

/// Resolves `.` and `..` by text alone: a link must not depend on symbolic links.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            other => out.push(other),
        }
    }
    Some(out)
}

/// Line and target of each relative link, outside code.
fn relative_links(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(targets(&without_code(line)).map(|target| (index + 1, target)));
        }
    }
    found
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

fn targets(line: &str) -> impl Iterator<Item = String> {
    let inline = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split([')', ' ']).next());
    let is_definition = line.starts_with('[') && !line.starts_with("[^");
    let definition = line.split_once("]: ").filter(|_| is_definition).map(|(_, target)| target.trim());
    inline.chain(definition).filter(|target| is_relative(target)).map(str::to_owned)
}

fn is_relative(target: &str) -> bool {
    let has_scheme =
        target.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(char::is_alphanumeric));
    !target.is_empty() && !target.starts_with('#') && !has_scheme
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code_only() {
        let text = "[a](docs/a.md#x) and `[b](b.md)` and ![c](c.png \"t\")\n```\n[d](d.md)\n```\n[e]: e.md\n\
                    [w](https://example.com) [m](mailto:a@example.com) [h](#here)\n";
        let expected = [(1, "docs/a.md#x"), (1, "c.png"), (5, "e.md")].map(|(n, t)| (n, t.to_owned()));
        assert_eq!(relative_links(text), expected);
    }

    #[test]
    fn a_link_to_nothing_or_out_of_the_workspace_is_dead() {
        let root = workspace::root();
        assert!(leads_inside(&root, &root.join("crates"), "../Cargo.toml#top"));
        assert!(!leads_inside(&root, &root, "no-such-file.md"));
        assert!(!leads_inside(&root, &root, "../"));
    }
}
