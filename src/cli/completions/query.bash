
# A query's fields, values and stages, which the daemon knows; everything else as above.
_traildex_query() {
    local command=${COMP_WORDS[1]}
    if [[ $command == @(search|tail|export) && $2 != -* && ${COMP_WORDS[COMP_CWORD-1]} != --* ]]; then
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
    elif [[ $command == values && $COMP_CWORD == 2 && $2 != -* ]]; then
        local IFS=$'\n'
        COMPREPLY=($("${COMP_WORDS[0]}" complete --field -- "$2" 2>/dev/null))
        [[ ${#COMPREPLY[@]} -gt 0 ]] && return
    fi
    _traildex "$@"
}
complete -F _traildex_query -o nosort -o bashdefault -o default traildex
