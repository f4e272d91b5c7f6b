use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, ErrorKind> {
    let words = std::iter::once("rcptgate").chain(line.split_whitespace());
    Cli::try_parse_from(words).map_err(|error| error.kind())
}

#[test]
fn every_command_and_flag_is_explained() {
    fn check(command: &clap::Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name} is not explained");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name} {} is not explained", argument.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    let command = Cli::command();
    command.clone().debug_assert();
    check(&command);
}

#[test]
fn the_configuration_may_stand_anywhere() {
    for line in
        ["-c x.toml verify", "verify -c x.toml", "verify --config x.toml", "verify --config=x.toml"]
    {
        let cli = parse(line).expect(line);
        assert_eq!(cli.config.as_deref(), Some(std::path::Path::new("x.toml")), "{line}");
    }
    let cli = parse("disposable test a.test -c x.toml").expect("a command in a command");
    assert!(cli.config.is_some());
}

#[test]
fn the_lines_of_the_contract_are_understood() {
    for line in [
        "serve",
        "serve -c x",
        "check",
        "demo",
        "demo --once",
        "lookup a@b.c d@e.f --tenant t --json",
        "explain a@b.c",
        "explain a@b.c --json",
        "list",
        "list --standing quarantined --category user_unknown --domain d --tenant t --since 7d --json",
        "list --since 2026-11-23 --csv",
        "quarantine a@b.c --reason r",
        "quarantine a@b.c --for 7d --reason r",
        "blacklist a@b.c --tenant t --reason r",
        "allow a@b.c --reason r",
        "release a@b.c d@e.f --reason r",
        "release --file f --from blacklist --tenant t --reason r --yes",
        "release a@b.c --from quarantine --reason r",
        "undo --since 2h --until 1h --receiver h --rule r --source s --batch b --category complaint --domain d --dry-run",
        "undo --receiver h --reason r --by w --yes --json",
        "undo --signed-by w --reason r",
        "import f --source s --reason r --dry-run",
        "import f --source s --tenant t --columns address=Email,kind=Status --value Dead=hard --format csv --reason r --yes",
        "import - --source s --kind hard --trust --reset --force-unsubscribes-into-quarantine --reason r --json",
        "export",
        "export --format csv --standing blacklisted --tenant t",
        "export --events",
        "classify",
        "classify 550",
        "simulate",
        "simulate --policy quarantine",
        "disposable add d",
        "disposable remove d",
        "disposable list",
        "disposable test d",
        "stats",
        "tail",
        "verify",
        "rebuild",
        "completions bash",
        "man",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |line: &str, kind: ErrorKind| assert_eq!(parse(line).err(), Some(kind), "{line}");
    check("frobnicate", ErrorKind::InvalidSubcommand);
    check("lookup", ErrorKind::MissingRequiredArgument);
    check("quarantine a@b.c", ErrorKind::MissingRequiredArgument);
    check("quarantine a@b.c --for 0s --reason r", ErrorKind::ValueValidation);
    check("quarantine a@b.c --for soon --reason r", ErrorKind::ValueValidation);
    check("blacklist a@b.c --reason r", ErrorKind::MissingRequiredArgument);
    check("release --reason r", ErrorKind::MissingRequiredArgument);
    check("release a@b.c --file f --reason r", ErrorKind::ArgumentConflict);
    check("release a@b.c --from nowhere --reason r", ErrorKind::InvalidValue);
    check("undo --receiver h", ErrorKind::MissingRequiredArgument);
    check("undo --since yesterday --dry-run", ErrorKind::ValueValidation);
    check("undo --category bogus --dry-run", ErrorKind::InvalidValue);
    check("list --standing bogus", ErrorKind::InvalidValue);
    check("list --category bogus", ErrorKind::InvalidValue);
    check("list --since yesterday", ErrorKind::ValueValidation);
    check("list --json --csv", ErrorKind::ArgumentConflict);
}

#[test]
fn since_is_a_time_a_day_or_a_while_ago() {
    let at = |text: &str| Since::At(text.parse().expect("a time"));
    assert_eq!(since("2026-11-23T10:00:00Z"), Ok(at("2026-11-23T10:00:00Z")));
    assert_eq!(since("2026-11-23"), Ok(at("2026-11-23T00:00:00Z")));
    assert_eq!(since("7d"), Ok(Since::Ago(Duration::from_secs(7 * 86_400))));
    assert!(since("2026-13-01").is_err());
    let long_ago =
        since("99999999d").expect("a span").point("2026-11-23T10:00:00Z".parse().expect("a time"));
    assert_eq!(long_ago.to_string(), "1970-01-01T00:00:00Z");
}
