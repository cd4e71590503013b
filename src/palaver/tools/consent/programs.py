"""The programs that only read, and with which options they do no more than that.

An option stands here if the manuals of GNU coreutils 9, findutils 4, grep 3, diffutils 3 and
sed 4 show that with it the program starts no other, writes no file and changes no setting. What
is not listed asks. `benchmarks/consent.py` holds the table against what the programs really do.

A line is a program, what its operands are, and its options:

    files    operands are files
    text     operands are not files
    words    it takes everything as text, options as well
    search   the first operand is a pattern, the others are files
    -abc     options of one letter, alone or run together
    -n=      an option of one letter with a value
    --all    a long option; `--name=` has a value, `--name?` may have one after `=`
    -#       a number is an option
    *        any option will do: a pattern may begin the word, whatever names it brings in
    <N       at most N operands (one more may be written to)
    !        it does not read options as getopt does: each must be a word, its value the next
"""

from __future__ import annotations

from functools import cache

from msgspec import Struct

_TABLE = """
cat files -AbeEnstTuv --show-all --number --number-nonblank --squeeze-blank --show-ends *
head files -n= -c= -qvz -# --lines= --bytes= --quiet --silent --verbose *
tail files -n= -c= -qvz -# --lines= --bytes= --quiet --silent --verbose *
wc files -cmlLw --bytes --chars --lines --words --max-line-length *
ls files -aAbBcCdFgGhHiklLmnNopqQrRsStuUvxXZ1 -I= -w= --all --almost-all --color? --directory
ls --file-type --full-time --group-directories-first --human-readable --ignore= --inode --reverse
ls --recursive --si --size --sort= --time= --time-style= --width= *
stat files -Lft -c= --dereference --file-system --format= --printf= --terse *
du files -abchHklLmsSx0 -d= --all --apparent-size --bytes --exclude= --human-readable --max-depth=
du --summarize --total *
md5sum files -bctwz --check --tag *
sha1sum files -bctwz --check --tag *
sha256sum files -bctwz --check --tag *
sha512sum files -bctwz --check --tag *
cksum files
cut files -d= -f= -b= -c= -snz --complement --delimiter= --fields= --output-delimiter= *
nl files -b= -n= -s= -w= -v= -p
rev files
fold files -bs -w= --width= --spaces
expand files -i -t= --tabs=
paste files -sz -d= --delimiters= --serial
join files -i -1= -2= -a= -e= -j= -o= -t= -v=
comm files -123z --total
column files -t -s= -c= -N= -o=
sort files -bcCdfghiMnrRsuVz -k= -t= --numeric-sort --reverse --unique --key= --field-separator=
sort --version-sort --human-numeric-sort --ignore-case --stable --check
uniq files -cdDiuz -f= -s= -w= --count --repeated --unique --ignore-case <1
tr text -cCdst --complement --delete --squeeze-repeats --truncate-set1
grep search -cEFGHhIiLlnoPqRrsTUvwxyZz -A= -B= -C= -m= -e= -# --after-context= --before-context=
grep --color? --colour? --context= --count --exclude= --exclude-dir= --extended-regexp
grep --files-with-matches --files-without-match --fixed-strings --ignore-case --include=
grep --invert-match --line-number --line-regexp --max-count= --no-filename --no-messages --null
grep --only-matching --perl-regexp --quiet --recursive --regexp= --silent --text --with-filename
grep --word-regexp *
rg search -cFHIilLnNoPpsSUuvwx0 -A= -B= -C= -e= -g= -j= -m= -t= -T= --after-context=
rg --before-context= --case-sensitive --color= --colors= --column --context= --count --files
rg --files-with-matches --files-without-match --fixed-strings --glob= --heading --hidden --iglob=
rg --ignore-case --invert-match --json --line-number --max-count= --max-depth= --multiline
rg --no-filename --no-heading --no-ignore --no-line-number --no-messages --null --only-matching
rg --pcre2 --regexp= --smart-case --sort= --stats --trim --type= --type-list --type-not=
rg --with-filename --word-regexp
diff files -aBbdEeiNnpqrsTtuwy -C= -F= -I= -U= -W= -x= --brief --color? --context? --exclude=
diff --ignore-all-space --ignore-blank-lines --ignore-case --ignore-space-change --label=
diff --new-file --recursive --report-identical-files --side-by-side --strip-trailing-cr
diff --suppress-common-lines --text --unified? --width=
cmp files -bls -i= -n= --bytes= --print-bytes --quiet --silent --verbose
file files -bhikL --brief --dereference --mime --mime-encoding --mime-type
strings files -a -n= -t=
od files -abcdfilosxv -A= -j= -N= -t=
hexdump files -bcCdovx -n= -s=
xxd files -a -b -e -i -p -u -c= -g= -l= -s= <1 !
base64 files -d -w= --decode --wrap=
basename text -az -s= --multiple --suffix=
dirname text -z
realpath files -eLmPqsz
readlink files -efmnqsvz
tree files -a -A -C -d -D -f -F -g -h -i -p -Q -r -s -S -t -u -x -I= -L= -P= !
tree --dirsfirst --du --gitignore --noreport --prune
df files -ahHiklPT --human-readable
seq text -w -f= -s= --format= --separator= --equal-width
uname text -asnrvmpio --all
nproc text --all --ignore=
id text -agGnru --group --groups --name --user <1
groups text
whoami text
arch text
tty text -s
uptime text -ps
free text -bghkmtw --human
hostname text -s <0
sleep text
which text -a
type text -aftpP
pwd text -LP <0
true words
false words
: words
echo words
"""


class Program(Struct, frozen=True):
    """What is known of a program; the fields are those of the table."""

    operands: str
    flags: frozenset[str]  # "-a", "--all"
    valued: frozenset[str]  # "-n", "--lines"
    maybe: frozenset[str]  # "--color": a value only after `=`
    numbers: bool
    any_option: bool
    apart: bool
    most: int | None


@cache
def programs() -> dict[str, Program]:
    """Return the table, by name."""
    rows: dict[str, list[str]] = {}
    for line in _TABLE.strip().splitlines():
        name, *rest = line.split()
        rows.setdefault(name, []).extend(rest)
    return {name: program(words) for name, words in rows.items()}


def program(words: list[str]) -> Program:
    """Read a row of the table, without its name."""
    flags: set[str] = set()
    valued, maybe = set(), set()
    most = None
    for word in words[1:]:
        if word.startswith("<"):
            most = int(word[1:])
        elif word.endswith("="):
            valued.add(word[:-1])
        elif word.endswith("?"):
            maybe.add(word[:-1])
        elif word.startswith("--"):
            flags.add(word)
        elif word not in ("*", "-#", "!"):
            flags |= {f"-{letter}" for letter in word[1:]}
    return Program(
        words[0],
        frozenset(flags),
        frozenset(valued),
        frozenset(maybe),
        "-#" in words,
        "*" in words,
        "!" in words,
        most,
    )
