"""Families of word forms: the examples show one inflection or derivation of English."""

from icltui.tasks.family import by_example, pairs

_PLURALS = pairs(
    "cat:cats car:cars tree:trees book:books house:houses box:boxes dish:dishes city:cities baby:babies "
    "story:stories man:men woman:women child:children foot:feet tooth:teeth mouse:mice leaf:leaves "
    "knife:knives wolf:wolves door:doors river:rivers table:tables bus:buses glass:glasses party:parties "
    "dog:dogs hand:hands game:games song:songs watch:watches lady:ladies bird:birds cup:cups king:kings "
    "church:churches country:countries wife:wives letter:letters"
)
_PAST = pairs(
    "walk:walked play:played go:went see:saw eat:ate take:took make:made come:came give:gave run:ran "
    "write:wrote speak:spoke think:thought buy:bought bring:brought find:found know:knew grow:grew "
    "sing:sang drink:drank swim:swam begin:began drive:drove fall:fell feel:felt keep:kept leave:left "
    "open:opened call:called help:helped jump:jumped stop:stopped try:tried carry:carried build:built "
    "win:won sit:sat sleep:slept"
)
_GERUND = pairs(
    "walk:walking play:playing go:going see:seeing eat:eating take:taking make:making come:coming give:giving "
    "run:running write:writing speak:speaking think:thinking buy:buying bring:bringing find:finding "
    "know:knowing grow:growing sing:singing drink:drinking swim:swimming begin:beginning drive:driving "
    "fall:falling feel:feeling keep:keeping leave:leaving open:opening call:calling help:helping "
    "jump:jumping stop:stopping try:trying carry:carrying build:building win:winning sit:sitting "
    "sleep:sleeping"
)
_THIRD_PERSON = pairs(
    "walk:walks play:plays go:goes see:sees eat:eats take:takes make:makes come:comes give:gives run:runs "
    "write:writes speak:speaks think:thinks buy:buys bring:brings find:finds know:knows grow:grows "
    "sing:sings drink:drinks swim:swims begin:begins drive:drives fall:falls feel:feels keep:keeps "
    "leave:leaves open:opens call:calls help:helps jump:jumps stop:stops try:tries carry:carries "
    "build:builds win:wins sit:sits watch:watches"
)
_COMPARATIVE = pairs(
    "big:bigger small:smaller fast:faster slow:slower high:higher low:lower old:older young:younger "
    "happy:happier rich:richer poor:poorer strong:stronger weak:weaker hard:harder soft:softer dark:darker "
    "light:lighter early:earlier late:later clean:cleaner thick:thicker thin:thinner near:nearer "
    "deep:deeper wide:wider long:longer short:shorter good:better bad:worse warm:warmer cold:colder "
    "easy:easier heavy:heavier large:larger tall:taller cheap:cheaper bright:brighter safe:safer"
)
_SUPERLATIVE = pairs(
    "big:biggest small:smallest fast:fastest slow:slowest high:highest low:lowest old:oldest young:youngest "
    "happy:happiest rich:richest poor:poorest strong:strongest weak:weakest hard:hardest soft:softest "
    "dark:darkest light:lightest early:earliest late:latest clean:cleanest thick:thickest thin:thinnest "
    "near:nearest deep:deepest wide:widest long:longest short:shortest good:best bad:worst warm:warmest "
    "cold:coldest easy:easiest heavy:heaviest large:largest tall:tallest cheap:cheapest bright:brightest "
    "safe:safest"
)
_AGENT = pairs(
    "teach:teacher write:writer sing:singer dance:dancer play:player read:reader speak:speaker drive:driver "
    "build:builder paint:painter hunt:hunter farm:farmer bake:baker lead:leader run:runner swim:swimmer "
    "win:winner lose:loser buy:buyer own:owner help:helper work:worker think:thinker fight:fighter "
    "kill:killer ride:rider climb:climber clean:cleaner make:maker produce:producer design:designer "
    "report:reporter manage:manager train:trainer rule:ruler travel:traveler act:actor visit:visitor"
)
_ADVERB = pairs(
    "quick:quickly slow:slowly sad:sadly loud:loudly quiet:quietly clear:clearly easy:easily happy:happily "
    "careful:carefully deep:deeply strong:strongly weak:weakly bad:badly bright:brightly free:freely "
    "full:fully general:generally simple:simply recent:recently sudden:suddenly serious:seriously soft:softly "
    "real:really proud:proudly direct:directly exact:exactly final:finally certain:certainly complete:completely "
    "equal:equally usual:usually normal:normally wide:widely high:highly warm:warmly kind:kindly rare:rarely "
    "light:lightly"
)

GRAMMAR = (
    by_example("plural", _PLURALS),
    by_example("singular", [(many, one) for one, many in _PLURALS]),
    by_example("past tense", _PAST),
    by_example("gerund", _GERUND),
    by_example("third person", _THIRD_PERSON),
    by_example("comparative", _COMPARATIVE),
    by_example("superlative", _SUPERLATIVE),
    by_example("verb to agent", _AGENT),
    by_example("adverb", _ADVERB),
)
