# cmake -D OUT=file.c -D FOLDER=lua -P embed-script.cmake
file(GLOB_RECURSE files RELATIVE ${FOLDER} ${FOLDER}/*.lua)
list(SORT files)
set(arrays "")
set(table "")
set(count 0)
foreach(file ${files})
  string(REGEX REPLACE "\\.lua$" "" module ${file})
  string(REPLACE "/" "." module ${module})
  string(REGEX REPLACE "\\.init$" "" module ${module})
  file(SIZE ${FOLDER}/${file} bytes)
  file(READ ${FOLDER}/${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," data "${hex}")
  string(APPEND arrays "static const unsigned char text_${count}[] = {${data}0};\n")
  string(APPEND table "    {\"${module}\", (const char *)text_${count}, ${bytes}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUT} "#include \"bind/embed.h\"

${arrays}
const struct cla_embed cla_embedded[] = {
${table}    {0},
};
const size_t cla_embedded_count = ${count};
")
