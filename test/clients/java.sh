#!/usr/bin/env bash
# A program of Java, compiled against Debian's libraries.
jars=/usr/share/java
path=$jars/postgresql.jar:$jars/eclipselink.jar:$jars/org.eclipse.persistence.jpa.jpql.jar:$jars/eclipselink-jpa-2.1-spec.jar
path=$path:$jars/slf4j-api.jar:$jars/javax.json.jar:$jars/geronimo-jta-1.2-spec.jar
command -v javac >/dev/null && [ -e $jars/postgresql.jar ] || { echo "no JDK, or no driver" >&2; exit 77; }
if [ "$1" = Hibernate ]; then
    for j in postgresql hibernate3 hibernate-commons-annotations geronimo-jpa_2.0_spec geronimo-jta-1.2-spec dom4j antlr commons-collections3 slf4j-api slf4j-nop javassist; do
        [ -e $jars/$j.jar ] || { echo "no $j.jar" >&2; exit 77; }
        all=${all:+$all:}$jars/$j.jar
    done
    path=$all
    CLIENT_VERSION=$(dpkg-query -W -f '${Version}' libhibernate3-java | sed 's/-.*//; s/\.Final//')
    export CLIENT_VERSION
fi
if [ "$1" = SpringJdbc ]; then
    for j in spring3-jdbc spring3-core spring3-beans spring3-transaction commons-logging; do
        [ -e $jars/$j.jar ] || { echo "no $j.jar" >&2; exit 77; }
        path=$path:$jars/$j.jar
    done
fi
[ "$1" != Jpa ] || [ -e $jars/eclipselink.jar ] || { echo "no EclipseLink" >&2; exit 77; }
cd "$(dirname "$0")/java" || exit 1
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/META-INF" && cp persistence.xml "$dir/META-INF/"
javac -nowarn -cp "$path" -sourcepath . -d "$dir" "$1.java" >&2 || exit 1
java -XX:TieredStopAtLevel=1 -cp "$dir:$path" "$1"
