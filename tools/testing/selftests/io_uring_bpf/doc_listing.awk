# SPDX-License-Identifier: GPL-2.0
#
# usage: awk [-v name=NAME] -f doc_listing.awk prog_io_uring.rst
#
# Prints listing NAME of the document as a source file, or the names of all listings
# that are code. A listing that contains SEC("iouring") or SEC("iouring.s") is named
# after the first function in such a section. If the listing has no #include lines, it
# gets those of the first program, and its license. "main" is the loader of the first
# program, and "attach_NAME" is the part of a function that attaches program NAME.

function indent(line)
{
	match(line, /^ */)
	return RLENGTH
}

# the name of listing @text, "" if it is not code that can be compiled
function title(text,	lines, n, i)
{
	if (text ~ /\nint main\(/)
		return "main"
	if (text ~ /LIBBPF_OPTS\(/ && match(text, /->progs\.[a-z_]+/))
		return "attach_" substr(text, RSTART + 8, RLENGTH - 8)
	n = split(text, lines, "\n")
	for (i = 1; i < n; i++) {
		if (lines[i] !~ /^SEC\("iouring(\.s)?"\)/)
			continue
		sub(/^int /, "", lines[i + 1])
		sub(/\(.*/, "", lines[i + 1])
		return lines[i + 1]
	}
	return ""
}

function end_of_listing(	this, is_prog)
{
	sub(/\n+$/, "\n", text)
	this = title(text)
	is_prog = this != "" && this != "main" && this !~ /^attach_/
	if (name == "" && this != "")
		print this
	if (name != "" && name == this) {
		printf "%s", is_prog ? head text : text
		found = 1
	}
	if (is_prog && head == "") {
		head = text
		sub(/\nSEC\("iouring.*/, "\n", head)
	}
	text = ""
	inside = 0
}

inside && NF && indent($0) <= depth {
	end_of_listing()
}

inside && !NF {
	text = text (text == "" ? "" : "\n")
}

inside && NF {
	if (text == "")
		left = indent($0)
	text = text substr($0, left + 1) "\n"
}

!inside && /::$/ && !/^ *\.\. [a-z-]+::$/ {
	inside = 1
	depth = indent($0)
}

END {
	if (inside)
		end_of_listing()
	if (name != "" && !found)
		exit 1
}
