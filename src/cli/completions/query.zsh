
# A query's fields and values, which the daemon knows; everything else as above.
_traildex_query() {
    if [[ $words[2] == search && $PREFIX != -* && $words[CURRENT-1] != --* ]]; then
        local -a found
        found=(${(f)"$($words[1] complete -- $PREFIX 2>/dev/null)"})
        if (( $#found )); then
            compadd -Q -S '' -- $found
            return
        fi
    fi
    _traildex "$@"
}
compdef _traildex_query traildex
