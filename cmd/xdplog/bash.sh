
# Without package bash-completion, in place of the one above, which needs it: the
# words, of which bash breaks those with = or : in them.
__xdplog_init_completion()
{
    COMPREPLY=()
    words=()
    cword=0
    local i word before line=${COMP_LINE}
    for i in "${!COMP_WORDS[@]}"; do
        word=${COMP_WORDS[i]}
        before=${line%%[![:space:]]*}
        line=${line#"${before}"}
        line=${line#"${word}"}
        if [[ ${#words[@]} -gt 0 && -z ${before} && -n ${word} ]]; then
            words[${#words[@]}-1]+=${word}
        else
            words+=("${word}")
        fi
        if [[ ${i} -eq ${COMP_CWORD} ]]; then
            cword=$((${#words[@]}-1))
        fi
    done
    words=("${words[@]:0:cword+1}")
    cur=${words[cword]}
    prev=${words[cword-1]}
}
