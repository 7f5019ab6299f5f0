# shellcheck shell=bash
# Sourced by ./run and ./check: installs what is missing, configures and builds. The caller sets
# `me` (its name) and `root` (the repository). Everything here is said on stderr.
# shellcheck disable=SC2154 # me, root

packages=$root/third_party/packages
launcher=() # a command that ninja is to run under

say() { printf '%s: %s\n' "$me" "$*" >&2; }

die() { # STATUS TEXT
    say "$2"
    exit "$1"
}

# Prints the packages of the lists that are absent or older than their list asks for.
missing() { # LIST…
    local list name version state
    local -a names=()
    local -A oldest=() installed=()
    for list; do
        while read -r name version; do
            [[ -z $name || $name == \#* ]] && continue
            names+=("$name")
            oldest[$name]=$version
        done <"$packages/$list"
    done
    while read -r name state version; do
        [[ $state == installed ]] && installed[$name]=$version
    done < <(dpkg-query -W -f='${Package} ${db:Status-Status} ${Version}\n' "${names[@]}" 2>/dev/null)
    for name in "${names[@]}"; do
        if [[ -z ${installed[$name]-} ]] || { [[ -n ${oldest[$name]} ]] &&
            ! dpkg --compare-versions "${installed[$name]}" ge "${oldest[$name]}"; }; then
            printf '%s\n' "$name"
        fi
    done
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@" </dev/null >&2; }

apt_install() { apt install -y --no-install-recommends "$@"; }

# Prints the Signed-By field of an apt source, named FILE:NUMBER as `apt-get indextargets` does:
# the NUMBERth stanza of a .sources file, the NUMBERth line of a .list file.
signed_by() { # FILE:NUMBER
    local file=${1%:*} number=${1##*:}
    if [[ $file == *.sources ]]; then
        awk -v number="$number" 'BEGIN { RS = ""; FS = "\n" }
            /(^|\n)[^#]/ && ++stanza == number {
                for (i = 1; i <= NF; ++i) {
                    if ($i ~ /^[^ \t]/) wanted = tolower($i) ~ /^signed-by:/
                    if (wanted) print $i
                }
            }' "$file"
    else
        sed -nE "${number}s/.*[[ ]signed-by=([^] ]+).*/Signed-By: \1/p" "$file"
    fi
}

# Prints an apt source (deb822) of another suite of Debian, at the address that the machine's own
# source of Debian has. Needs up-to-date package lists.
debian_suite() { # SUITE
    # shellcheck disable=SC2016 # apt's own variables
    local format='$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(SOURCESENTRY)'
    local own origin codename uri source
    # shellcheck source=/dev/null
    own=$(. /etc/os-release && printf 'Debian/%s' "${VERSION_CODENAME-}")
    while IFS=\| read -r origin codename uri source; do
        [[ $origin/$codename == "$own" && $uri != cdrom:* ]] || continue
        printf '%s\n' 'Types: deb' "URIs: $uri" "Suites: $1" 'Components: main'
        signed_by "$source"
        return
    done < <(apt-get indextargets 'Created-By: Packages' 'Component: main' --format "$format")
    die 3 "apt knows no source of this release of Debian itself, so none for $1"
}

# Debian 12: makes bookworm-backports known to apt, unless it is known already. Needs up-to-date
# package lists.
add_backports() {
    local file=/etc/apt/sources.list.d/clearframe-backports.sources stanza codename
    # shellcheck disable=SC2016 # apt's own variable
    while read -r codename; do
        [[ $codename == bookworm-backports ]] && return
    done < <(apt-get indextargets 'Created-By: Packages' 'Component: main' --format '$(CODENAME)')
    stanza=$(debian_suite bookworm-backports) || exit

    say "adding bookworm-backports to apt's sources, as $file"
    printf '%s\n' "$stanza" | as_root tee "$file" >/dev/null
    if ! apt update; then
        as_root rm -f "$file"
        die 3 "apt cannot use bookworm-backports (see above); removed $file again"
    fi
}

# Installs what is missing of the lists and of backports.txt. Never upgrades anything else.
install_packages() { # LIST…
    command -v dpkg-query >/dev/null || return 0 # not Debian: CMake says what is missing
    local -a plain newer
    mapfile -t plain < <(missing "$@")
    mapfile -t newer < <(missing backports.txt)
    ((${#plain[@]} + ${#newer[@]})) || return 0

    local -a all=("${plain[@]}" "${newer[@]}")
    say "installing by apt: ${all[*]}"
    as_root true || die 3 "that needs root or sudo: run ./$me as root once, or have these packages installed"
    apt update || say "apt could not update every package list; going on with those it has"
    if ((${#plain[@]})); then
        apt_install "${plain[@]}" || die 3 "apt could not install ${plain[*]} (see above)"
    fi
    if ((${#newer[@]})); then
        local suite=
        # shellcheck source=/dev/null
        if [[ $(. /etc/os-release && printf '%s' "${ID-} ${VERSION_ID-}") == 'debian 12' ]]; then
            add_backports
            suite=bookworm-backports
        fi
        apt_install ${suite:+-t "$suite"} "${newer[@]}" ||
            die 3 "apt could not install ${newer[*]} (see above)"
        mapfile -t newer < <(missing backports.txt)
        ((${#newer[@]} == 0)) ||
            die 3 "${newer[*]}: too old in this machine's apt sources (third_party/packages/backports.txt says what is needed); Debian 12 and 13 have it"
    fi
}

# Copies the output of ninja or ctest to stderr; their lines of progress overwrite each other on a
# terminal, elsewhere one for each tenth of the work is shown; none in the first second.
progress() {
    local line shown=0 tenth terminal='' start=$SECONDS
    [[ -t 2 ]] && terminal=yes
    shopt -s extglob
    while IFS= read -r line; do
        if [[ $line =~ ^\ *\[?([0-9]+)/([0-9]+) ]]; then
            tenth=$((10 * BASH_REMATCH[1] / BASH_REMATCH[2]))
            line=${line// ...+(.)/}
            if ((SECONDS <= start + 1)); then
                continue
            elif [[ $terminal ]]; then
                printf '\r\e[K%.*s' "$((${COLUMNS:-80} - 1))" "$line" >&2
            elif ((tenth > shown)); then
                printf '%s\n' "$line" >&2
            fi
            shown=$tenth
        elif [[ $line != 'ninja: no work to do.' ]]; then
            printf '%s%s\n' "${terminal:+$'\r\e[K'}" "$line" >&2
        fi
    done
    [[ -z $terminal ]] || printf '\r\e[K' >&2
}

configure() { # PRESET [--fresh]
    local output
    output=$(cd "$root" && cmake --preset "$@" 2>&1 </dev/null) || {
        printf '%s\n' "$output" >&2
        return 1
    }
}

# Is the build folder configured, by these presets, for this source folder and with a compiler that
# is still there?
is_configured() { # FOLDER
    local line home='' compiler=''
    [[ -f $1/build.ninja && $1/CMakeCache.txt -nt $root/CMakePresets.json ]] || return
    while IFS= read -r line; do
        case $line in
        CMAKE_HOME_DIRECTORY:*) home=${line#*=} ;;
        CMAKE_CXX_COMPILER:*) compiler=${line#*=} ;;
        esac
    done < <(grep -E '^CMAKE_(HOME_DIRECTORY|CXX_COMPILER):' "$1/CMakeCache.txt")
    [[ $home == "$root" && -x $compiler ]] || return
    [[ -z ${CXX-} ]] || ! command -v "$CXX" >/dev/null || [[ $(command -v "$CXX") == "$compiler" ]]
}

# Configures, where that has not been done, and builds. One at a time in each build folder.
build() { # PRESET [TARGET…]
    local preset=$1 folder=$root/build/$1
    shift
    (
        mkdir -p "$root/build" && exec {lock}>"$root/build/.$preset.lock" || exit
        flock -n "$lock" || {
            say "another build is going on in $folder: waiting for it"
            flock "$lock"
        }
        compile() { (cd "$folder" && NINJA_STATUS='[%f/%t] ' "${launcher[@]}" ninja "$@" 2>&1 </dev/null) | progress; }

        if ! is_configured "$folder"; then
            say "configuring $folder"
            configure "$preset" --fresh || exit 1
        fi
        compile "$@" && exit
        # What failed was the compiler, or CMake on a cache that no longer fits the machine.
        configure "$preset" 2>/dev/null && exit 1
        say "configuring $folder afresh"
        configure "$preset" --fresh && compile "$@"
    )
}
