#!/usr/bin/env bash
# usage: scripts/tree.sh
#
# Puts the series on the kernel's work tree, as branch "series", with a commit
# for each patch. Only files that differ are touched, so that a build goes on
# where it was. Edits and commits that are in the work tree only are kept below
# refs/saved/ first. Edit there with git commit --fixup=... and git rebase -i
# --autosquash base, and carry the stack back with scripts/refresh.py.

. "$(dirname "$0")/lib.sh"

index=$CACHE/tree.index
applied=refs/iou-bpf/applied

tree_git()
{
	git -C "$TREE" "$@"
}

# tree_of COMMIT
tree_of()
{
	tree_git rev-parse -q --verify "$1^{tree}" || true
}

# save HAVE WANT PARENT
save()
{
	local ref id
	ref=refs/saved/$(date +%Y%m%d-%H%M%S)
	export GIT_AUTHOR_NAME='io_uring BPF' GIT_AUTHOR_EMAIL=series@localhost
	export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
	if ! id=$(tree_git commit-tree "$1" -p "$3" -m "Work tree before the series was put on it") ||
	   ! tree_git update-ref "$ref" "$id" ''; then
		die "cannot save the edits in the work tree"
	fi
	say "the work tree had edits that the series has not; they are kept as $ref:"
	tree_git diff-tree -r --name-status "$2" "$1" | head -n 20 >&2
	say "to have them back: git -C $TREE checkout $ref -- FILE"
}

# in_the_way HAVE WANT: git would overwrite what its .gitignore names, and
# there that is nearly everything
in_the_way()
{
	local f
	tree_git diff-tree -r -z --no-renames --diff-filter=A --name-only "$1" "$2" |
	while IFS= read -r -d '' f; do
		[ ! -e "$TREE/$f" ] ||
			tree_git show "$2:$f" | cmp -s - "$TREE/$f" || echo "$f"
	done
}

# on_branch HAVE COMMIT: all there is is committed, and stays on a branch or where
# export.py has put what was branch "series"
on_branch()
{
	tree_git symbolic-ref -q HEAD >/dev/null && [ "$1" = "$(tree_of "$2")" ]
}

main()
{
	[ $# = 0 ] || die "usage: scripts/tree.sh"
	local file tip have want old
	lock tree
	if [ -d "$TREE/.git/rebase-merge" ] || [ -d "$TREE/.git/rebase-apply" ]; then
		die "a rebase is under way in $TREE: finish it, or git rebase --abort"
	fi
	old=$(tree_git rev-parse -q --verify HEAD || true)
	tip=$("$TOP/scripts/export.py" --commits-only) || exit 1
	want=$(tree_of "$tip")
	trap 'rm -f "$index" "$index.lock"' EXIT
	have=$("$TOP/scripts/snapshot.py" "$index") || exit 1
	file=$(in_the_way "$have" "$want")
	[ -z "$file" ] || die "in the way of the series, and not looked after by git: $file"
	if [ "$have" != "$want" ] && [ "$have" != "$(tree_of $applied)" ] &&
	   [ "$have" != "$(tree_of base)" ] && ! on_branch "$have" "$old"; then
		save "$have" "$want" "$old"
	fi
	# from what is there to what is to be there: nothing else is touched
	GIT_INDEX_FILE=$index tree_git read-tree -m -u "$have" "$want" ||
		die "cannot put the series on the work tree"
	mv "$index" "$TREE/.git/index"
	tree_git symbolic-ref HEAD refs/heads/series
	tree_git update-ref $applied "$tip"
	say "the work tree holds the series: $(tree_git log -1 --format=%s), $(tree_git rev-list --count base..HEAD) patches"
}

main "$@"
