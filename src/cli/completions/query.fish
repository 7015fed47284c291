
# A query's fields, values and stages, which the daemon knows; everything else as above.
function __traildex_query
    set -l text (string replace -r "^['\"]" '' -- (commandline -ct))
    set -l words (commandline -opc)
    $words[1] complete $argv -- $text 2>/dev/null
end
complete -c traildex -n '__fish_traildex_using_subcommand search' -f -a '(__traildex_query)'
complete -c traildex -n '__fish_traildex_using_subcommand tail' -f -a '(__traildex_query)'
complete -c traildex -n '__fish_traildex_using_subcommand export' -f -a '(__traildex_query)'
complete -c traildex -n '__fish_traildex_using_subcommand values' -f -a '(__traildex_query --field)'
