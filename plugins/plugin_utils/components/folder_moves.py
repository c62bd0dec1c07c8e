# SPDX-License-Identifier: Apache-2.0
"""The move of one of Immich's folders between the library's volume and a volume of its own, before the server starts.

The folders of originals never move: what is moved are `thumbs`, `encoded-video`, `profile` and `backups`. A container of the
server's pod does it, so Immich does not run meanwhile. It can be killed at any moment: the next one starts from what it finds.

For each folder there are two places, the one that it is to be in, and the other one. In each of them, beside Immich's files,
there is a folder PRIVATE at the top of the volume:

- `copying-NAME` while the copy that is being made there is not complete. Whatever is in the place is then ours;
- `copied-NAME` once the copy was compared with the original, content by content;
- `old/NAME-1`: what was in a place before it was left. Nothing is ever deleted but what this container has itself copied.
"""

from __future__ import annotations

LIBRARY = "/library"
"""Where the container has the library's volume, without the volumes in it."""
VOLUMES = "/volumes"
"""Where it has the others, by the name of the folder."""
PRIVATE = ".immich-operator"

# Every failure of a command that is not answered for ends the script, and the server does not start.
MOVE_SCRIPT = r"""
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C
report=/dev/termination-log
: >"$report"
tell() { echo "$*" >>"$report"; echo "$*"; }
refuse() { tell "$1 $2"; exit 1; }

# What is at the top and not Immich's is neither looked at nor moved.
inside() {
  find "$1" -mindepth 1 \( -path "$1/lost+found" -o -path "$1/.snapshot" -o -path "$1/.immich-operator" \) -prune -o "${@:2}"
}
has_files() {
  local seen
  [[ -e $1 ]] || return 1
  seen=$(inside "$1" ! -type d -printf x -quit) || refuse closed "$name"
  [[ -n $seen ]]
}
list() { (cd "$1" && inside . ! -type d -printf '%y %s %T@ %P\0' | sort -z); }
contents_of() { (cd "$1" && inside . -type f -printf '%P\0' | sort -z) | (cd "$2" && xargs -0 -r sha256sum -z --) | sha256sum; }
contents() {
  contents_of "$1" "$1"
  (cd "$1" && inside . ! -type d -printf '%y %l %P\0' | sort -z | sha256sum)
}
mark() { mkdir -p "$1"; : >"$1/$2"; sync -f "$1/$2"; }

copy() {
  local from=$1 to=$2 said
  mkdir -p "$to"
  (cd "$from" && inside . -type d -printf '%P\0') | (cd "$to" && xargs -0 -r mkdir -p --)
  # A copy that was cut off has the time at which it was cut off, not that of its original.
  said=$(comm -z -23 <(list "$from") <(list "$to") | sed -z 's/^[^ ]* [^ ]* [^ ]* //' | (cd "$from" && xargs -0 -r \
    cp --no-dereference --remove-destination --preserve=mode,timestamps --parents -t "$to" --) 2>&1) || {
    echo "$said"
    case $said in *"No space left"*|*"quota exceeded"*) refuse full "$name" ;; esac
    refuse uncopied "$name"
  }
}

set_aside() {
  local from=$1 private=$2 number=1 old entry
  mkdir -p "$private/old"
  old=$private/old/$name
  if [[ -e $private/leaving-$name ]]; then number=$(<"$private/leaving-$name"); else
    while [[ -e $old-$number ]]; do number=$((number + 1)); done
    echo "$number" >"$private/.leaving-$name"
    sync -f "$private/.leaving-$name"
    mv -T "$private/.leaving-$name" "$private/leaving-$name"
  fi
  mkdir -p "$old-$number"
  (cd "$from" && find . -mindepth 1 -maxdepth 1 ! -name lost+found ! -name .snapshot ! -name .immich-operator -print0 |
    xargs -0 -r mv -n -t "$old-$number" --)
  if has_files "$from"; then refuse uncopied "$name"; fi
  sync -f "$from"
  rm "$private/leaving-$name"
}

finish() {
  # What was copied and compared before an interruption: only the original still has to be set aside.
  local from=$1 from_private=$2 to=$3 to_private=$4 ours theirs
  [[ -e $to_private/copied-$name ]] || return 0
  if has_files "$from"; then
    theirs=$(contents_of "$from" "$from") || refuse closed "$name"
    ours=$(contents_of "$from" "$to") || refuse differs "$name"
    if [[ $ours != "$theirs" ]]; then refuse differs "$name"; fi
    set_aside "$from" "$from_private"
  fi
  rm -f "$from_private/leaving-$name"
  rm "$to_private/copied-$name"
}

compare() {
  local original copied
  original=$(contents "$1")
  copied=$(contents "$2")
  is_equal=
  if [[ $original == "$copied" ]]; then is_equal=yes; fi
}

move() {
  local from=$1 from_private=$2 to=$3 to_private=$4 is_equal
  if [[ -e $from_private/copying-$name ]]; then
    # Only an unfinished copy of what is in the right place: somebody has thought better of it.
    if has_files "$from"; then set_aside "$from" "$from_private"; fi
    rm -f "$from_private/leaving-$name"
    rm "$from_private/copying-$name"
    return 0
  fi
  if ! has_files "$from"; then
    if [[ -e $to_private/copying-$name ]]; then rm "$to_private/copying-$name"; fi
    return 0
  fi
  if has_files "$to" && [[ ! -e $to_private/copying-$name ]]; then refuse both "$name"; fi
  mkdir -p "$to" && [[ -w $to && -w $from ]] && mkdir -p "$from_private/old" || refuse closed "$name"
  mark "$to_private" "copying-$name"
  echo "copying $name"
  copy "$from" "$to"
  sync -f "$to"
  echo "comparing $name"
  compare "$from" "$to"
  if [[ -z $is_equal ]]; then
    # Left from a copy that was interrupted: of something that has changed since, or never written to the disk.
    rm -f "$to_private/leaving-$name"
    set_aside "$to" "$to_private"
    copy "$from" "$to"
    sync -f "$to"
    compare "$from" "$to"
    if [[ -z $is_equal ]]; then refuse differs "$name"; fi
  fi
  rm -f "$to_private/leaving-$name"
  mv -T "$to_private/copying-$name" "$to_private/copied-$name"
  sync -f "$to_private/copied-$name"
  finish "$@"
  echo "moved $name"
}

library=$1 volumes=$2
shift 2
mkdir -p "$library/.immich-operator" || refuse closed library
exec 9>"$library/.immich-operator/lock"
flock 9
while (($#)); do
  name=$1 wanted=$2 can_be_made_again=$3
  shift 3
  in_library=("$library/$name" "$library/.immich-operator") on_volume=("$volumes/$name" "$volumes/$name/.immich-operator")
  finish "${in_library[@]}" "${on_volume[@]}"
  finish "${on_volume[@]}" "${in_library[@]}"
  case $wanted in
    volume) move "${in_library[@]}" "${on_volume[@]}"; place=${on_volume[0]} ;;
    library) move "${on_volume[@]}" "${in_library[@]}"; place=${in_library[0]} ;;
    *) exit 1 ;;
  esac
  # The volume went with a former Immich, whose database is still there: without the mark Immich would not start with it.
  if [[ $can_be_made_again == yes ]] && ! has_files "$place"; then
    mkdir -p "$place" && : >"$place/.immich" || refuse closed "$name"
  fi
  tell "$wanted $name"
done
for old in "$library"/.immich-operator/old/*-*; do
  if [[ -d $old ]]; then tell "kept ${old##*/}"; fi
done
"""
