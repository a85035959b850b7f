//! `lakepilot.toml`: where it is, what it says, and the command line on top of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lakepilot_analysis::{Analyzer, Config, Level, all_rules, find_rule, nearest_names};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::args::SettingArgs;

/// The name of the file, in the folder of what is checked or in one above it.
const FILE_NAME: &str = "lakepilot.toml";

/// The tables of the file.
const TABLES: [&str; 2] = ["check", "partitions"];

/// The keys of `[check]`: those of [`Config`].
const KEYS: [&str; 5] = ["max-columns", "max-row-bytes", "max-time-range", "max-in-list", "rules"];

/// The keys of `[partitions]`.
const PARTITION_KEYS: [&str; 1] = ["protect"];

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    check: Config,
    #[serde(default)]
    partitions: PartitionSettings,
}

/// What `[partitions]` says.
#[derive(Debug, Default, Deserialize)]
struct PartitionSettings {
    /// View instances that no plan may touch, as `view set/instance`.
    #[serde(default)]
    protect: Vec<String>,
}

/// The view instances that the nearest `lakepilot.toml` protects, and which file that is.
pub(crate) fn protected() -> Result<Option<(PathBuf, Vec<String>)>> {
    let folder =
        std::env::current_dir().map_err(|error| Error::from(error).context("cannot tell the current folder"))?;
    let Some(path) = nearest_file(&folder) else {
        return Ok(None);
    };
    let file = read_file(&path)?;
    Ok(Some((path, file.partitions.protect)))
}

/// Gives each text that is checked the analyser of its folder.
pub(crate) struct Settings<'a> {
    args: &'a SettingArgs,
    current_folder: PathBuf,
    /// The analyser of each configuration file, and of none.
    analyzers: HashMap<Option<PathBuf>, Rc<Analyzer>>,
    /// The configuration file of each folder that was looked at.
    of_folders: HashMap<PathBuf, Option<PathBuf>>,
}

impl<'a> Settings<'a> {
    /// Settings whose command line is right, and whose `--config` can be read.
    pub(crate) fn new(args: &'a SettingArgs) -> Result<Self> {
        check_names(args)?;
        let current_folder =
            std::env::current_dir().map_err(|error| Error::from(error).context("cannot tell the current folder"))?;
        let mut settings = Self {
            args,
            current_folder,
            analyzers: HashMap::new(),
            of_folders: HashMap::new(),
        };
        if let Some(path) = &args.config {
            settings.load(Some(path.clone()))?;
        }
        Ok(settings)
    }

    /// The analyser for a file, or for text that is in no file: that has the settings of the current folder.
    pub(crate) fn analyzer(&mut self, file: Option<&Path>) -> Result<Rc<Analyzer>> {
        let config = self.file_for(file);
        self.load(config)
    }

    /// The configuration file for a file, if there is one.
    fn file_for(&mut self, file: Option<&Path>) -> Option<PathBuf> {
        if self.args.no_config {
            return None;
        }
        if self.args.config.is_some() {
            return self.args.config.clone();
        }
        let folder = match file.and_then(Path::parent) {
            Some(folder) => self.current_folder.join(folder),
            None => self.current_folder.clone(),
        };
        if let Some(known) = self.of_folders.get(&folder) {
            return known.clone();
        }
        let found = nearest_file(&folder);
        self.of_folders.insert(folder, found.clone());
        found
    }

    fn load(&mut self, path: Option<PathBuf>) -> Result<Rc<Analyzer>> {
        if let Some(known) = self.analyzers.get(&path) {
            return Ok(Rc::clone(known));
        }
        let mut config = match &path {
            Some(path) => read(path)?,
            None => Config::default(),
        };
        apply(self.args, &mut config);
        let analyzer = Rc::new(Analyzer::new(config));
        self.analyzers.insert(path, Rc::clone(&analyzer));
        Ok(analyzer)
    }
}

/// The nearest configuration file in a folder or above it.
fn nearest_file(folder: &Path) -> Option<PathBuf> {
    // What is above a folder that a link leads to, or behind `..`, is above what they stand for.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder
        .ancestors()
        .map(|above| above.join(FILE_NAME))
        .find(|path| path.is_file())
}

/// Puts the command line on top of a configuration.
fn apply(args: &SettingArgs, config: &mut Config) {
    if !args.select.is_empty() {
        for rule in all_rules() {
            let is_off = config.rules.get(rule.name()) == Some(&Level::Off);
            if !args.select.iter().any(|name| name == rule.name()) {
                config.rules.insert(rule.name().to_owned(), Level::Off);
            } else if is_off {
                config.rules.remove(rule.name());
            }
        }
    }
    let switched = args.rules.iter().cloned();
    config.rules.extend(switched);
    let ignored = args.ignore.iter().map(|name| (name.clone(), Level::Off));
    config.rules.extend(ignored);
    if let Some(columns) = args.max_columns {
        config.max_columns = columns;
    }
    if let Some(bytes) = args.max_row_bytes {
        config.max_row_bytes = bytes as f64;
    }
    if let Some(range) = args.max_time_range {
        config.max_time_range = range;
    }
    if let Some(items) = args.max_in_list {
        config.max_in_list = items;
    }
}

/// Checks that the rules of the command line exist.
fn check_names(args: &SettingArgs) -> Result<()> {
    let switched = args.rules.iter().map(|(name, _)| ("--rule", name));
    let selected = args.select.iter().map(|name| ("--select", name));
    let ignored = args.ignore.iter().map(|name| ("--ignore", name));
    for (option, name) in switched.chain(selected).chain(ignored) {
        if find_rule(name).is_none() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{option}: {}", no_such("rule", name, rule_names())),
            ));
        }
    }
    Ok(())
}

pub(crate) fn rule_names() -> impl Iterator<Item = &'static str> {
    all_rules().iter().map(|rule| rule.name())
}

/// That there is nothing of a name, and the names that may have been meant.
pub(crate) fn no_such<'n>(what: &str, name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    match nearest_names(name, names).as_slice() {
        [] if what == "rule" => format!("there is no rule '{name}': `lakepilot rules` lists them"),
        [] => format!("there is no {what} '{name}'"),
        near => format!("there is no {what} '{name}': did you mean {}?", near.join(" or ")),
    }
}

/// Reads what a configuration file says about checks.
fn read(path: &Path) -> Result<Config> {
    Ok(read_file(path)?.check)
}

/// Reads a configuration file.
fn read_file(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::from(error).context(format!("cannot read the settings in {}", path.display())))?;
    parse(&text).map_err(|problem| {
        let (line, column) = place(&text, problem.offset);
        Error::new(
            ErrorKind::InvalidInput,
            format!("{}:{line}:{column}: {}", path.display(), problem.message),
        )
    })
}

/// What is wrong with a configuration file, and at which byte.
#[derive(Debug)]
struct Problem {
    message: String,
    offset: usize,
}

impl From<toml::de::Error> for Problem {
    fn from(error: toml::de::Error) -> Self {
        Self {
            offset: error.span().map_or(0, |span| span.start),
            message: error.message().replace('\n', "; "),
        }
    }
}

fn parse(text: &str) -> std::result::Result<File, Problem> {
    let document = DeTable::parse(text)?;
    check_keys(document.get_ref(), "table", &TABLES)?;
    if let Some(DeValue::Table(check)) = document.get_ref().get("check").map(|value| value.get_ref()) {
        check_keys(check, "setting", &KEYS)?;
        if let Some(DeValue::Table(rules)) = check.get("rules").map(|value| value.get_ref()) {
            check_keys(rules, "rule", &rule_names().collect::<Vec<_>>())?;
        }
    }
    if let Some(DeValue::Table(partitions)) = document.get_ref().get("partitions").map(|value| value.get_ref()) {
        check_keys(partitions, "setting", &PARTITION_KEYS)?;
    }
    Ok(toml::from_str::<File>(text)?)
}

/// Checks that every key is one of those that there are: the parser's own words would not say which is near.
fn check_keys(table: &DeTable<'_>, what: &str, names: &[&str]) -> std::result::Result<(), Problem> {
    for key in table.keys() {
        let name: &str = key.get_ref();
        if !names.contains(&name) {
            return Err(Problem {
                message: no_such(what, name, names.iter().copied()),
                offset: key.span().start,
            });
        }
    }
    Ok(())
}

/// The line and the column, in characters and from 1, of a byte.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn problem(text: &str) -> (usize, usize, String) {
        let problem = parse(text).unwrap_err();
        let (line, column) = place(text, problem.offset);
        (line, column, problem.message)
    }

    #[test]
    fn what_is_protected_is_read() {
        let file = parse("[partitions]\nprotect = [\"log_entries/global\"]\n").unwrap();
        assert_eq!(file.partitions.protect, ["log_entries/global"]);
        let (line, column, message) = problem("[partitions]\nprotects = []\n");
        assert_eq!((line, column), (2, 1));
        assert!(message.contains("did you mean protect?"), "{message}");
    }

    #[test]
    fn settings_are_read() {
        let text = "[check]\nmax-columns = 20\nmax-row-bytes = 500\nmax-time-range = \"1d\"\n\n[check.rules]\nselect-star = \"off\"\nwide-row = \"error\"\n";
        let config = parse(text).unwrap().check;
        assert_eq!(config.max_columns, 20);
        assert_eq!(config.max_time_range, std::time::Duration::from_secs(86_400));
        assert_eq!(config.rules["select-star"], Level::Off);
        assert_eq!(config.rules["wide-row"], Level::Error);
        assert_eq!(parse("").unwrap().check, Config::default());
        assert_eq!(
            serde_json::to_value(Config::default())
                .unwrap()
                .as_object()
                .unwrap()
                .len(),
            KEYS.len()
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_nearest_name() {
        assert_eq!(
            problem("[chekc]\n"),
            (1, 2, "there is no table 'chekc': did you mean check?".to_owned())
        );
        assert_eq!(
            problem("# é\n[check]\nmax-colums = 3\n"),
            (
                3,
                1,
                "there is no setting 'max-colums': did you mean max-columns?".to_owned()
            )
        );
        assert_eq!(
            problem("check.rules.select-stra = 'off'"),
            (
                1,
                13,
                "there is no rule 'select-stra': did you mean select-star?".to_owned()
            )
        );
        for (text, place) in [
            ("[check]\nmax-columns = -1\n", (2, 15)),
            ("[check]\nmax-time-range = \"soon\"\n", (2, 18)),
            ("[check.rules]\nwide-row = \"loud\"\n", (2, 12)),
            ("[check\n", (1, 7)),
            ("check = 1", (1, 9)),
        ] {
            let (line, column, message) = problem(text);
            assert_eq!((line, column), place, "{text}: {message}");
            assert!(!message.is_empty() && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let mut config = parse("[check]\nmax-columns = 20\nrules = {select-star = 'off', wide-row = 'error'}")
            .unwrap()
            .check;
        let args = SettingArgs {
            select: vec!["select-star".to_owned(), "wide-row".to_owned(), "cross-join".to_owned()],
            ignore: vec!["cross-join".to_owned()],
            rules: vec![("offset-paging".to_owned(), Level::Hint)],
            max_columns: Some(30),
            ..SettingArgs::default()
        };
        apply(&args, &mut config);
        assert_eq!(config.max_columns, 30);
        assert!(!config.rules.contains_key("select-star"), "selected again");
        assert_eq!(config.rules["wide-row"], Level::Error);
        assert_eq!(config.rules["cross-join"], Level::Off);
        assert_eq!(config.rules["offset-paging"], Level::Hint);
        assert_eq!(config.rules["leading-wildcard"], Level::Off);
    }
}
