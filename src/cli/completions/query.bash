
# A query's fields and values, which the daemon knows; everything else as above.
_traildex_query() {
    if [[ ${COMP_WORDS[1]} == search && $2 != -* && ${COMP_WORDS[COMP_CWORD-1]} != --* ]]; then
        local text=$2 word=${COMP_WORDS[COMP_CWORD]} IFS=$'\n'
        # Outside of quotes, bash takes ':' and '=' for the ends of words: the query is what is behind the last space.
        case $word in
            [\'\"]*) ;;
            *) text=${COMP_LINE:0:COMP_POINT}; text=${text##* } ;;
        esac
        COMPREPLY=($("${COMP_WORDS[0]}" complete -- "$text" 2>/dev/null))
        if [[ ${#COMPREPLY[@]} -gt 0 ]]; then
            compopt -o nospace
            COMPREPLY=("${COMPREPLY[@]#"${text%"$2"}"}")
            return
        fi
    fi
    _traildex "$@"
}
complete -F _traildex_query -o nosort -o bashdefault -o default traildex
