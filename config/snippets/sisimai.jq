# Sisimai, Perl or Ruby: gives bounces that the gate itself caused the reason "suppressed", and says that they are not hard.
# Sisimai takes no rules of its own from a file, so its JSON is filtered behind it, with jq:
#   perl -MSisimai -E 'print Sisimai->dump(shift)' Maildir/ | jq -f sisimai.jq
#   ruby -rsisimai -e 'puts Sisimai.dump(ARGV.shift)' Maildir/ | jq -f sisimai.jq
# Have you changed [replies] of the policy? Then the words here too.
map(
    if (.diagnosticcode // "") | test("[45]50 [45]\\.7\\.1 rcptgate: .*(quarantined|blacklisted|disposable) ")
    then .reason = "suppressed" | if has("hardbounce") then .hardbounce = false else . end
    else . end
)
