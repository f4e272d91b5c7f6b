use super::*;

#[test]
fn the_built_in_rules_hold() {
    if let Err(faults) = Classifier::from_toml(BUILTIN) {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        panic!("config/classification.toml:\n{}", faults.join("\n"));
    }
}
