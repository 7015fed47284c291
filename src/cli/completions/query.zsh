
# A query's fields, values and stages, which the daemon knows.
_traildex_query() {
    local -a found
    found=(${(f)"$(traildex complete -- $PREFIX 2>/dev/null)"})
    compadd -Q -S '' -- $found
}

_traildex_field() {
    local -a found
    found=(${(f)"$(traildex complete --field -- $PREFIX 2>/dev/null)"})
    compadd -Q -- $found
}
