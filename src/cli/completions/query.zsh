
# A query's fields and values, which the daemon knows.
_traildex_query() {
    local -a found
    found=(${(f)"$(traildex complete -- $PREFIX 2>/dev/null)"})
    compadd -Q -S '' -- $found
}
